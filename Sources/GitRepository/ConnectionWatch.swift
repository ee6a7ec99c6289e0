import BlockingQueue
import Glibc
import Synchronization

/// Decides how long the connections of one fetch may wait: libgit2 1.5 itself waits for a silent server for ever.
final class ConnectionWatch: Sendable {
    /// The watch of the fetch that runs on this thread: libgit2 opens connections without telling for whom.
    @TaskLocal static var current: ConnectionWatch?

    let cancellation: Cancellation
    private let limit: Duration
    private let stored = Mutex<GitError?>(nil)

    init(cancellation: Cancellation, limit: Duration) {
        self.cancellation = cancellation
        self.limit = limit
    }

    /// Why a connection was given up, when it was.
    var failure: GitError? { stored.withLock { $0 } }

    /// Waits until the socket is ready for `events` (`poll(2)`). False when it is given up.
    func wait(for socket: Int32, _ events: Int32) -> Bool {
        let end = ContinuousClock.now + limit
        while !cancellation.isCancelled {
            var entry = pollfd(fd: socket, events: Int16(events), revents: 0)
            let ready = poll(&entry, 1, 50)
            if ready > 0 { return true }
            if ready < 0, errno != EINTR { return false }
            if ContinuousClock.now >= end {
                stored.withLock {
                    $0 = GitError(
                        .unreachable, "the server did not answer for \(limit)",
                        hint: "check the URL, and that the server is up and lets this machine in")
                }
                return false
            }
        }
        return false
    }
}
