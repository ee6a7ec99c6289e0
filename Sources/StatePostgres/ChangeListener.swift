import BlockingQueue
import Synchronization

extension Statement {
    /// A hint to every server that listens; it goes out when the transaction is committed.
    static let announcement: Statement = "SELECT pg_notify('slipway', '')"
}

/// Hears what other servers announce, on a connection of its own that is made again when it breaks. Hints may get lost
/// meanwhile; so a new connection counts as one.
final class ChangeListener: Sendable {
    private struct State {
        var connection: PostgresConnection?
        var failures = 0
    }

    private let address: PostgresAddress
    private let timeouts: PostgresTimeouts
    private let queue = BlockingQueue(label: "postgres changes", width: 1)
    private let state = Mutex(State())

    init(_ address: PostgresAddress, timeouts: PostgresTimeouts) {
        self.address = address
        self.timeouts = timeouts
    }

    /// Returns at the next hint; nil when the task is cancelled.
    func next() async -> Void? {
        while !Task.isCancelled {
            do {
                return try await queue.run { [self] in try wait($0) }
            } catch is CancellationError {
                return nil
            } catch {
                // The calls of the store tell what is wrong; here it is asked again, at most 5 s later.
                let failures = state.withLock { state in
                    state.connection = nil
                    state.failures += 1
                    return state.failures
                }
                try? await Task.sleep(for: .milliseconds(min(5000, 100 << min(failures, 6))))
            }
        }
        return nil
    }

    private func wait(_ cancellation: Cancellation) throws {
        guard let connection = state.withLock({ $0.connection }) else {
            let connection = try PostgresConnection(address, timeouts: timeouts, purpose: "slipway changes")
            try connection.run("LISTEN slipway")
            state.withLock { $0 = State(connection: connection) }
            return
        }
        while try !connection.waitForNotification(milliseconds: 250) {
            if cancellation.isCancelled { throw CancellationError() }
        }
    }
}
