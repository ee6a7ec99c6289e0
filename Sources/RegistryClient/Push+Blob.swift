import AsyncHTTPClient
import ImageStore
import NIOCore
import NIOHTTP1
import OCIModel
import _NIOFileSystem

extension Push {
    /// Uploads one blob unless the registry has it. A broken transfer is never repeated blindly: the next attempt
    /// asks again whether the blob is there and opens a new upload.
    func blob(_ descriptor: Descriptor) async throws {
        guard let size = try store.size(of: descriptor.digest) else {
            throw RegistryError(
                .notFound, "\(task): blob \(descriptor.digest) is not in the local store", hint: "build or pull the image again")
        }
        guard size == descriptor.size else {
            throw RegistryError(
                .sizeMismatch, "\(task): blob \(descriptor.digest) has \(size) bytes, the manifest says \(descriptor.size)",
                hint: "build the image again")
        }
        try await transport.retry.run {
            if try await exists(descriptor) {
                result.alreadyThere()
                progress?(RegistryProgress(digest: descriptor.digest, step: .alreadyThere, completed: size, total: size))
                return
            }
            guard let location = try await begin(descriptor) else {
                result.alreadyThere()
                progress?(RegistryProgress(digest: descriptor.digest, step: .alreadyThere, completed: size, total: size))
                return
            }
            try await upload(descriptor, to: location)
            result.uploaded(size)
            progress?(RegistryProgress(digest: descriptor.digest, step: .done, completed: size, total: size))
        }
    }

    private func exists(_ descriptor: Descriptor) async throws -> Bool {
        var request = client.request(.HEAD, repository, "blobs/\(descriptor.digest)", scope)
        request.task = task
        let response = try await transport.send(request)
        switch response.status.code {
        case 200:
            await transport.drain(response)
            return true
        case 404:
            await transport.drain(response)
            return false
        default: throw await transport.failure(response, task)
        }
    }

    /// Opens an upload and returns where to send it; nil when the blob was mounted.
    private func begin(_ descriptor: Descriptor) async throws -> String? {
        var path = "blobs/uploads/"
        if let mountFrom {
            path += "?mount=\(descriptor.digest)&from=\(Transport.escape(mountFrom.rawValue))"
        }
        var request = client.request(.POST, repository, path, scope)
        request.task = task
        let response = try await transport.send(request)
        if response.status == .created, mountFrom != nil {
            await transport.drain(response)
            return nil
        }
        guard response.status == .accepted else { throw await transport.failure(response, task) }
        await transport.drain(response)
        guard let location = response.headers.first(name: "Location"),
            let address = Transport.resolve(location, at: request.url)
        else {
            throw RegistryError(
                .invalidResponse, "\(task): no usable Location for an upload", hint: "ask the registry's operator")
        }
        return address + (address.contains("?") ? "&" : "?") + "digest=\(descriptor.digest)"
    }

    private func upload(_ descriptor: Descriptor, to address: String) async throws {
        var request = Outgoing(method: .PUT, url: address, scope: scope, task: task)
        request.headers = ["Content-Type": "application/octet-stream"]
        request.repeatable = false
        request.timeout = .hours(6)
        let response: HTTPClientResponse
        if descriptor.size == 0 {
            request.body = .bytes([UInt8]())
            response = try await transport.sendOnce(request)
        } else {
            let path = store.path(of: descriptor.digest)
            response = try await FileSystem.shared.withFileHandle(forReadingAt: path) { [request] file in
                let body = UploadBody(
                    chunks: file.readChunks(in: 0..<descriptor.size, chunkLength: .kibibytes(256)),
                    descriptor: descriptor, progress: progress)
                var request = request
                request.body = .stream(body, length: .known(descriptor.size))
                return try await transport.sendOnce(request)
            }
        }
        guard response.status == .created || response.status == .noContent || response.status == .ok else {
            let error = await transport.failure(response, task)
            // The upload is gone (a restart of the registry, a timeout): open a new one.
            if response.status == .notFound { throw Interruption(error: error) }
            throw error
        }
        await transport.drain(response)
    }
}

/// A blob's file as a request body that reports how far it is.
struct UploadBody: AsyncSequence, Sendable {
    let chunks: FileChunks
    let descriptor: Descriptor
    let progress: (@Sendable (RegistryProgress) -> Void)?

    struct AsyncIterator: AsyncIteratorProtocol {
        var base: FileChunks.AsyncIterator
        let descriptor: Descriptor
        let progress: (@Sendable (RegistryProgress) -> Void)?
        var sent: Int64 = 0

        mutating func next() async throws -> ByteBuffer? {
            guard let chunk = try await base.next() else { return nil }
            sent += Int64(chunk.readableBytes)
            progress?(
                RegistryProgress(digest: descriptor.digest, step: .transferring, completed: sent, total: descriptor.size))
            return chunk
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: chunks.makeAsyncIterator(), descriptor: descriptor, progress: progress)
    }
}
