import AsyncHTTPClient
public import ImageStore
import NIOCore
public import OCIModel
import Synchronization

extension RegistryClient {
    /// Opens an upload of a blob whose digest and size are not known yet, to be sent while it is made.
    ///
    /// One PATCH request carries everything. End it with ``BlobUpload/commit(_:size:from:)`` or
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
/// A connection that breaks does not stop the work: ``append(_:)`` goes on counting, and
/// ``commit(_:size:from:)`` sends what the registry has not got from the store, where the blob is complete by then.
/// A pause of minutes between two pieces counts as a broken connection.
public actor BlobUpload {
    private let body: Handoff
    private let count: Count
    private let request: Task<UploadSession, any Error>
    /// As it was opened; the address may have changed since.
    private let opened: UploadSession
    private var broken: Interruption?
    private var isOver = false

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
    public func append(_ bytes: [UInt8]) async throws {
        try checkOpen()
        guard broken == nil, !bytes.isEmpty else { return }
        do {
            try await body.give(ByteBuffer(bytes: bytes))
            count.add(Int64(bytes.count))
        } catch is Handoff.Closed {
            try Task.checkCancellation()
            try await noteEnd()
        }
    }

    /// Whether the connection broke, so that ``commit(_:size:from:)`` needs the store.
    public var isBroken: Bool { broken != nil }

    /// Ends the upload and lets the registry verify it.
    ///
    /// - Parameters:
    ///   - size: in bytes.
    ///   - store: has the blob; what a broken connection did not carry is sent from there. With nil such an upload throws.
    public func commit(_ digest: Digest, size: Int64, from store: ImageStore? = nil) async throws {
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
        } catch let interruption as Interruption {
            broken = interruption
        } catch {
            throw Self.meaningful(error)
        }
        if broken == nil, count.bytes == size, session.offset == size {
            do { return try await session.finish(digest) } catch let interruption as Interruption { broken = interruption }
        }
        guard let store else {
            await session.cancel()
            throw broken?.error
                ?? RegistryError(
                    .sizeMismatch, "\(session.task): the registry has \(session.offset) of \(size) bytes", hint: "push it again")
        }
        let repair = Push(
            client: session.client, source: StoreSource(store: store), repository: session.repository, scope: session.scope,
            mountFrom: nil, task: session.task, progress: nil, result: PushTally(digest))
        try await repair.blob(
            Descriptor(mediaType: MediaType.ociLayer, digest: digest, size: size), continuing: session)
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

    /// The request ended before the body did: an interruption is kept for `commit`, everything else is thrown.
    private func noteEnd() async throws {
        do {
            _ = try await request.value
            broken = Interruption(
                error: RegistryError(
                    .unreachable, "\(opened.task): the registry answered before it had everything", hint: "push it again"))
        } catch let interruption as Interruption {
            broken = interruption
        } catch {
            throw Self.meaningful(error)
        }
    }

    private static func meaningful(_ error: any Error) -> any Error { error is Handoff.Closed ? CancellationError() : error }
}
