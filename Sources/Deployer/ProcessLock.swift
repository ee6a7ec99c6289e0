import BlockingQueue
import Glibc
import SystemPackage

/// A lock between processes: flock(2) on a file that stays. The kernel takes it back when its holder ends; one that is only
/// stopped keeps it, so nobody waits for ever.
enum ProcessLock {
    private static let patience = Duration.seconds(20)

    /// Blocks; call it on a `BlockingQueue`.
    static func holding<T>(_ file: FilePath, _ body: () throws -> T) throws -> T {
        let lock = try take(file)
        return try lock.closeAfter(body)
    }

    /// Holds the lock while `body` runs; `queue` is where it waits.
    static func holding<T: Sendable>(_ file: FilePath, on queue: BlockingQueue, _ body: @Sendable () async throws -> T) async throws -> T {
        let lock = try await queue.run { _ in try take(file) }
        do {
            let result = try await body()
            try lock.close()
            return result
        } catch {
            try? lock.close()
            throw error
        }
    }

    private static func take(_ file: FilePath) throws -> FileDescriptor {
        let descriptor = try FileDescriptor.open(
            file, .readWrite, options: [.create, .closeOnExec], permissions: [.ownerReadWrite])
        let deadline = ContinuousClock.now + patience
        while flock(descriptor.rawValue, LOCK_EX | LOCK_NB) != 0 {
            guard ContinuousClock.now < deadline else {
                try? descriptor.close()
                throw DeployerError(
                    .stateUnusable, "another server has held \(file) for \(patience.components.seconds) s",
                    hint: "is one of the servers stopped, by SIGSTOP or a debugger? let it go on, or end it")
            }
            usleep(2_000)
        }
        return descriptor
    }
}
