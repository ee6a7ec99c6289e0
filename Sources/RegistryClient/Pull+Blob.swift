import AsyncHTTPClient
import ImageStore
import Logging
import NIOCore
import NIOHTTP1
import OCIModel

extension Pull {
    /// Downloads one blob unless the store has it.
    func blob(_ descriptor: Descriptor) async throws {
        if let size = try await store.renew(descriptor.digest) {
            guard size == descriptor.size else { throw wrongSize(descriptor, size) }
            progress?(RegistryProgress(digest: descriptor.digest, step: .alreadyThere, completed: size, total: size))
            return
        }
        guard !client.mirrors.isEmpty else { return try await fetch(descriptor, from: [client]) }
        do {
            try await fetch(descriptor, from: client.mirrors + [client])
        } catch let error as RegistryError where error.code == .digestMismatch || error.code == .sizeMismatch {
            client.transport.logger.warning("a mirror gave damaged content: \(error)")
            try await fetch(descriptor, from: [client])
        }
    }

    /// One source after the other; what one gave before it failed is kept: the digest decides in the end.
    private func fetch(_ descriptor: Descriptor, from sources: [RegistryClient]) async throws {
        try await receive(descriptor) { upload, received in
            try await fromAny(sources) { source in
                try await source.transport.retry.run(progress: { received }) {
                    let request = source.request(.GET, repository, "blobs/\(descriptor.digest)", scope)
                    try await transfer(descriptor, to: upload, received: &received, request, source.transport)
                }
            }
        }
    }

    /// A layer that its registry may not hold: from there all the same, else from the addresses that the manifest names.
    func foreignLayer(_ descriptor: Descriptor) async throws {
        do { return try await blob(descriptor) } catch let error as RegistryError where error.code == .notFound {
            let urls = (descriptor.urls ?? []).filter { $0.hasPrefix("https://") || $0.hasPrefix("http://") }.prefix(8)
            guard !urls.isEmpty else { throw error }
            var last = error
            for url in urls {
                do {
                    return try await receive(descriptor) { upload, received in
                        try await client.transport.retry.run(progress: { received }) {
                            let request = Outgoing(method: .GET, url: url, scope: scope, task: task)
                            try await transfer(descriptor, to: upload, received: &received, request, client.transport)
                        }
                    }
                } catch let error as RegistryError { last = error }
            }
            throw last
        }
    }

    private func receive(_ descriptor: Descriptor, _ fetch: (String, inout Int64) async throws -> Void) async throws {
        let upload = try await store.beginUpload(algorithm: descriptor.digest.algorithm)
        do {
            var received: Int64 = 0
            try await fetch(upload, &received)
            _ = try await store.finishUpload(upload, expecting: descriptor.digest)
        } catch {
            try? await store.cancelUpload(upload)
            if let error = error as? ImageStoreError, error.code == .digestMismatch {
                throw RegistryError(
                    .digestMismatch, "\(task): \(error.message)", hint: "it was changed on the way or in the registry; do not use it")
            }
            throw error
        }
        progress?(
            RegistryProgress(digest: descriptor.digest, step: .done, completed: descriptor.size, total: descriptor.size))
    }

    /// Receives what is still missing. `received` grows as bytes reach the store, so that a retry resumes there.
    private func transfer(
        _ descriptor: Descriptor, to upload: String, received: inout Int64, _ request: Outgoing, _ transport: Transport
    ) async throws {
        if received == descriptor.size && received > 0 { return }
        var request = request
        request.timeout = .hours(6)
        request.task = task
        if received > 0 { request.headers = ["Range": "bytes=\(received)-"] }
        let response = try await transport.sendOnce(request)
        var skip: Int64 = 0
        switch response.status.code {
        case 200: skip = received  // No ranges here: pass over what we have.
        case 206 where response.headers.first(name: "Content-Range")?.hasPrefix("bytes \(received)-") == true: break
        default: throw await transport.failure(response, task)
        }
        var piece: [UInt8] = []
        func flush() async throws {
            guard !piece.isEmpty else { return }
            received = try await store.append(piece, to: upload, at: received)
            piece.removeAll(keepingCapacity: true)
            progress?(
                RegistryProgress(digest: descriptor.digest, step: .transferring, completed: received, total: descriptor.size))
        }
        do {
            for try await buffer in response.body {
                var view = buffer.readableBytesView
                let passed = min(skip, Int64(view.count))
                view = view.dropFirst(Int(passed))
                skip -= passed
                guard received + Int64(piece.count + view.count) <= descriptor.size else {
                    throw wrongSize(descriptor, received + Int64(piece.count + view.count))
                }
                piece.append(contentsOf: view)
                if piece.count >= 1 << 20 { try await flush() }
            }
        } catch {
            if error is ImageStoreError { throw error }
            try await flush()
            throw transport.broken(error, task)
        }
        try await flush()
        guard received == descriptor.size else {
            throw Interruption(error: wrongSize(descriptor, received))
        }
    }

    private func wrongSize(_ descriptor: Descriptor, _ size: Int64) -> RegistryError {
        RegistryError(
            .sizeMismatch, "\(task): blob \(descriptor.digest) has \(size) bytes, its manifest says \(descriptor.size)",
            hint: "the image is damaged in the registry; push it again")
    }
}
