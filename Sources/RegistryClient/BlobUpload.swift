import AsyncHTTPClient
public import ImageStore
import Logging
import NIOCore
public import OCIModel
import Synchronization

extension RegistryClient {
    /// Opens an upload of a blob whose digest and size are not known yet, to be sent while it is made.
    ///
    /// One PATCH request carries everything. End it with ``BlobUpload/commit(_:size:)`` or
    /// ``BlobUpload/cancel()``; an upload that is let go without either is abandoned and its connection closed.
    ///
    /// - Parameter mountFrom: a repository that a later ``push(_:from:to:tag:mountFrom:progress:)`` mounts from; one
    ///   token then serves both.
    public func beginUpload(to repository: RepositoryName, mountFrom: RepositoryName? = nil) async throws -> BlobUpload {
        let scope = Scope.push(repository.rawValue, mounting: mountFrom?.rawValue)
        let task = "pushing a layer to \(host)/\(repository)"
        switch try await UploadSession.open(self, repository, scope, task: task) {
        case .opened(let session): return BlobUpload(session)
        case .mounted:
            throw RegistryError(.invalidResponse, "\(task): the registry opened no upload", hint: "ask the registry's operator")
        }
    }
}

/// A blob on its way to a registry while it is being made. Its methods are called one after the other.
///
/// A connection that breaks does not stop the work: ``append(_:)`` throws nothing then, ``commit(_:size:)`` says so, and
/// ``mend(from:)`` sends what the registry has not got from the store, where the blob is complete by then.
/// A pause of minutes between two pieces counts as a broken connection.
public actor BlobUpload {
    private let body: Handoff
    private let count: Count
    private let request: Task<UploadSession, any Error>
    /// As it was opened; the address may have changed since.
    private let opened: UploadSession
    /// The connection ended before the blob did.
    private var isBroken = false
    private var isOver = false
    /// What `commit` could not end.
    private var unfinished: (UploadSession, Descriptor)?

    /// Bytes handed to the connection, written by the request's task.
    private final class Count: Sendable {
        private let value = Mutex<Int64>(0)
        func add(_ bytes: Int64) { value.withLock { $0 += bytes } }
        var bytes: Int64 { value.withLock { $0 } }
    }

    init(_ session: UploadSession) {
        let body = Handoff()
        let count = Count()
        (self.opened, self.body, self.count) = (session, body, count)
        // Owned: it ends with `commit`, `cancel` or the last reference to this upload.
        request = Task {
            defer { body.close() }
            var session = session
            try await session.patch(.stream(body, length: .unknown), count: nil) { count.bytes }
            return session
        }
    }

    deinit {
        body.close()
        request.cancel()
    }

    /// Adds bytes; waits while the registry is slower than we are. At most two pieces are in memory.
    ///
    /// - Throws: ``RegistryError`` when the registry refuses the upload. A broken connection throws nothing.
    public func append(_ bytes: [UInt8]) async throws { try await append(ByteBuffer(bytes: bytes)) }

    func append(_ piece: ByteBuffer) async throws {
        try checkOpen()
        guard !isBroken, piece.readableBytes > 0 else { return }
        do {
            try await body.give(piece)
            count.add(Int64(piece.readableBytes))
        } catch is Handoff.Closed {
            try Task.checkCancellation()
            try await noteEnd()
        }
    }

    /// Ends the upload and lets the registry verify it.
    ///
    /// - Parameter size: in bytes.
    /// - Returns: false when the connection broke; ``mend(from:)`` sends the rest then.
    /// - Throws: ``RegistryError`` when the registry refuses the blob.
    public func commit(_ digest: Digest, size: Int64) async throws -> Bool {
        try checkOpen()
        isOver = true
        body.finish()
        var session = opened
        do {
            session = try await withTaskCancellationHandler {
                try await request.value
            } onCancel: {
                request.cancel()
            }
            if count.bytes == size, session.offset == size {
                try await session.finish(digest)
                return true
            }
        } catch let interruption as Interruption {
            opened.client.transport.logger.info("\(session.task): \(interruption.error)")
        } catch {
            throw Self.meaningful(error)
        }
        unfinished = (session, Descriptor(mediaType: MediaType.ociLayer, digest: digest, size: size))
        return false
    }

    /// After a ``commit(_:size:)`` that returned false: sends what the registry has not got.
    ///
    /// - Parameter store: has the blob.
    public func mend(from store: ImageStore) async throws {
        guard let (session, blob) = unfinished else { return }
        unfinished = nil
        let push = Push(
            client: session.client, source: StoreSource(store: store), repository: session.repository, scope: session.scope,
            mountFrom: nil, task: session.task, progress: nil, result: PushTally(blob.digest))
        try await push.blob(blob, continuing: session)
    }

    /// Gives the upload up and tells the registry so.
    public func cancel() async {
        guard !isOver else { return }
        isOver = true
        body.close()
        request.cancel()
        let last = await request.result
        await ((try? last.get()) ?? opened).cancel()
    }

    private func checkOpen() throws {
        if isOver {
            throw RegistryError(.rejected, "\(opened.task): this upload has ended already", hint: "begin a new upload")
        }
    }

    /// The request ended before the body did: an interruption is left to `commit`, everything else is thrown.
    private func noteEnd() async throws {
        do { _ = try await request.value } catch is Interruption {
            // Said by `commit`, which waits for the request as well.
        } catch {
            throw Self.meaningful(error)
        }
        isBroken = true
    }

    private static func meaningful(_ error: any Error) -> any Error { error is Handoff.Closed ? CancellationError() : error }
}
