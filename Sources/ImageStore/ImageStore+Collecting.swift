import BlockingQueue
import Glibc
public import OCIModel
import SystemPackage

// How content and its collection keep out of each other's way, also between processes. The garbage collection removes
// only what nothing refers to and what was not touched since before it began to look. Whoever relies on content that
// is here already renews it first, under the shared lock; a removal looks at the time again under the exclusive lock.
// So either the removal comes first, and the other finds the content missing, or the renewal does, and it stays.
extension ImageStore {
    var lockFile: FilePath { root.appending("collection.lock") }

    /// Runs `body` while no collection removes anything. Short: a collection waits for its end.
    func sharing<T>(_ body: () throws -> T) throws -> T { try locked(LOCK_SH, body) }

    /// Runs `body` while nobody renews anything.
    func excluding<T>(_ body: () throws -> T) throws -> T { try locked(LOCK_EX, body) }

    private func locked<T>(_ operation: Int32, _ body: () throws -> T) throws -> T {
        var handle = try Files.open(lockFile, O_RDWR | O_CREAT)
        while !handle.lock(operation) {
            guard errno == EINTR else { throw Files.failure("lock", lockFile) }
        }
        return try body()
    }

    /// Declares that the caller is going to refer to a blob that may be here already, so that a garbage collection
    /// leaves it alone for its period of grace. Returns the size in bytes; nil when the blob is absent.
    @discardableResult
    public func renew(_ digest: Digest) async throws -> Int64? {
        try await queue.run { _ in try renewed(digest) }
    }

    /// The same for callers that are on a `BlockingQueue` already. Blocking.
    public func renewed(_ digest: Digest) throws -> Int64? { try sharing { try renewNow(digest) } }

    /// Under the shared lock.
    @discardableResult
    func renewNow(_ digest: Digest) throws -> Int64? {
        guard let size = try size(of: digest), try Files.touch(path(of: digest)) else { return nil }
        return size
    }
}
