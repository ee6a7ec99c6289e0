public import BlockingQueue
import CLibgit2
public import SystemPackage

/// A bare mirror of one repository: fetched incrementally, read without a checkout.
///
/// Every method runs on `queue`; handles of libgit2 never leave one call. Values of this type are cheap and may be made as often as
/// wanted: fetches into the same path are serialised by a lock on the folder, inside this process and between processes, and reads
/// may go on meanwhile. A fetch that was killed leaves a mirror that the next fetch repairs.
///
/// All methods throw ``GitError``, or `CancellationError` when the awaiting task was cancelled.
public struct GitMirror: Sendable {
    /// The folder of the bare repository; made by the first ``fetch(from:credentials:progress:)``.
    public let path: FilePath
    let queue: BlockingQueue
    let stallLimit: Duration

    /// - Parameter stallLimit: how long a server may keep silent during a fetch.
    public init(path: FilePath, queue: BlockingQueue, stallLimit: Duration = .seconds(120)) {
        GitLibrary.initialise()
        self.stallLimit = stallLimit
        self.path = path
        self.queue = queue
    }

    /// Lends the opened mirror to `body`, on the queue.
    func withRepository<R: Sendable>(_ body: @escaping @Sendable (OpaquePointer, Cancellation) throws -> R) async throws -> R {
        let path = path
        return try await queue.run { cancellation in
            try GitMirror.lendRepository(at: path) { try body($0, cancellation) }
        }
    }

    static func lendRepository<R>(at path: FilePath, _ body: (OpaquePointer) throws -> R) throws -> R {
        var opened: OpaquePointer?
        let flags = GIT_REPOSITORY_OPEN_BARE.rawValue | GIT_REPOSITORY_OPEN_NO_SEARCH.rawValue
        let result = git_repository_open_ext(&opened, path.string, flags, nil)
        guard result != GIT_ENOTFOUND.rawValue else {
            throw GitError(.notFound, "there is no mirror at '\(path)'", hint: "fetch the project first")
        }
        try check(result, "cannot open the mirror '\(path)'")
        guard let repository = opened else { throw GitError(.failed, "libgit2 opened nothing at '\(path)'") }
        defer { git_repository_free(repository) }
        return try body(repository)
    }
}
