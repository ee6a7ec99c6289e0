import AsyncHTTPClient
import ImageStore
import NIOCore
import NIOHTTP1
import OCIModel
import Synchronization
import _NIOFileSystem

extension Push {
    /// Uploads one blob unless the registry has it. A broken transfer is never repeated blindly: the registry is asked
    /// how far the upload is and gets the rest; when it does not know, whether it has the blob, and a new upload begins.
    ///
    /// - Parameter session: an upload that holds the first bytes of this blob already.
    func blob(_ descriptor: Descriptor, continuing session: UploadSession? = nil) async throws {
        try check(descriptor)
        var session = session
        var mustAsk = session != nil
        var highest: Int64 = 0
        var isFresh = session == nil
        let transfer = BlobTransfer(push: self, descriptor: descriptor)
        let outcome = try await transport.retry.run(progress: { highest }) { () -> BlobTransfer.Outcome in
            if mustAsk, var known = session {
                mustAsk = false
                if case .at(let offset) = try await known.status(), offset <= descriptor.size {
                    session = known
                    highest = max(highest, offset)
                } else {
                    session = nil
                }
            }
            if session == nil {
                isFresh = true
                guard let opened = try await transfer.open() else { return .alreadyThere }
                session = opened
            }
            guard var current = session else { return .alreadyThere }
            do {
                try await transfer.send(&current) { now in
                    session = now
                    highest = max(highest, now.offset)
                }
                return .uploaded
            } catch let interruption as Interruption {
                session = interruption.isSessionLost ? nil : current
                mustAsk = !interruption.isSessionLost
                isFresh = false
                throw interruption
            } catch let error as RegistryError where !isFresh && error.status.map({ (400..<500).contains($0) }) == true {
                // What was put together from several connections is not what it should be: once more in one go.
                await current.cancel()
                session = nil
                throw Interruption(error: error)
            }
        }
        switch outcome {
        case .alreadyThere: result.alreadyThere()
        case .uploaded: result.uploaded(descriptor.size)
        }
        progress?(
            RegistryProgress(
                digest: descriptor.digest, step: outcome == .uploaded ? .done : .alreadyThere, completed: descriptor.size,
                total: descriptor.size))
    }

    private func check(_ descriptor: Descriptor) throws {
        guard let size = try store.size(of: descriptor.digest) else {
            throw RegistryError(
                .notFound, "\(task): blob \(descriptor.digest) is not in the local store", hint: "build or pull the image again")
        }
        guard size == descriptor.size else {
            throw RegistryError(
                .sizeMismatch, "\(task): blob \(descriptor.digest) has \(size) bytes, the manifest says \(descriptor.size)",
                hint: "build the image again")
        }
    }
}

/// One blob of the store on its way to the registry.
struct BlobTransfer: Sendable {
    enum Outcome: Sendable { case alreadyThere, uploaded }

    let push: Push
    let descriptor: Descriptor

    /// Asks whether the registry has the blob, mounts it, or opens an upload. Nil: it is there.
    func open() async throws -> UploadSession? {
        if try await push.client.size(of: descriptor.digest, in: push.repository, scope: push.scope, task: push.task) != nil {
            return nil
        }
        let mount = push.mountFrom.map { (digest: descriptor.digest, from: $0) }
        switch try await UploadSession.open(push.client, push.repository, push.scope, task: push.task, mounting: mount) {
        case .mounted: return nil
        case .opened(let session): return session
        }
    }

    /// Sends everything from the session's offset on. `reached` is told after each chunk that arrived.
    func send(_ session: inout UploadSession, reached: (UploadSession) -> Void) async throws {
        let rest = descriptor.size - session.offset
        guard rest > 0 else { return try await session.finish(descriptor.digest) }
        try await withBody(session.offset..<descriptor.size) { [session] body in
            try await session.finish(descriptor.digest, body: body, count: rest)
        }
    }

    private func withBody(_ range: Range<Int64>, _ send: (HTTPClientRequest.Body) async throws -> Void) async throws {
        let path = push.store.path(of: descriptor.digest)
        try await FileSystem.shared.withFileHandle(forReadingAt: path) { file in
            let body = UploadBody(
                chunks: file.readChunks(in: range, chunkLength: .kibibytes(256)), descriptor: descriptor,
                begin: range.lowerBound, progress: push.progress)
            try await send(.stream(body, length: .known(range.upperBound - range.lowerBound)))
        }
    }
}

/// A blob's file as a request body that reports how far it is.
struct UploadBody: AsyncSequence, Sendable {
    let chunks: FileChunks
    let descriptor: Descriptor
    let begin: Int64
    let progress: (@Sendable (RegistryProgress) -> Void)?

    struct AsyncIterator: AsyncIteratorProtocol {
        var base: FileChunks.AsyncIterator
        let descriptor: Descriptor
        let progress: (@Sendable (RegistryProgress) -> Void)?
        var sent: Int64

        mutating func next() async throws -> ByteBuffer? {
            guard let chunk = try await base.next() else { return nil }
            sent += Int64(chunk.readableBytes)
            progress?(
                RegistryProgress(digest: descriptor.digest, step: .transferring, completed: sent, total: descriptor.size))
            return chunk
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: chunks.makeAsyncIterator(), descriptor: descriptor, progress: progress, sent: begin)
    }
}
