import BlockingQueue
import StateStore
import Synchronization

/// Connections to one database, as many as there are threads for them: who has a thread has a connection.
final class ConnectionPool: Sendable {
    let address: PostgresAddress
    let timeouts: PostgresTimeouts
    private let queue: BlockingQueue
    private let idle = Mutex<[PostgresConnection]>([])
    /// Whether the database had a schema that is known here. One that becomes newer later is as good, see ``Migrations``.
    private let isKnown = Mutex(false)

    /// - Parameter width: connections at most.
    init(_ address: PostgresAddress, width: Int, timeouts: PostgresTimeouts) {
        self.address = address
        self.timeouts = timeouts
        queue = BlockingQueue(label: "postgres", width: width)
    }

    /// Lends a connection to `body`. A broken one is replaced, and `body` run again when nothing can have come of the first time:
    /// nothing was sent, the transaction had not begun, it was undone by a conflict, or it only reads.
    func use<T: Sendable>(
        reading: Bool = false, _ body: @escaping @Sendable (PostgresConnection, Cancellation) throws -> T
    ) async throws -> T {
        try await queue.run { [self] cancellation in
            var conflicts = 0
            var isFirst = true
            while true {
                do {
                    return try once(cancellation, body)
                } catch let failure as PostgresFailure {
                    if cancellation.isCancelled { throw CancellationError() }
                    if failure.isConflict, conflicts < 10 {
                        conflicts += 1
                    } else if failure.isLost, isFirst, reading || failure.nothingHappened {
                        isFirst = false
                        // What is idle has most likely gone the same way.
                        idle.withLock { $0.removeAll() }
                    } else {
                        throw failure.explained(address)
                    }
                }
            }
        }
    }

    private func once<T>(
        _ cancellation: Cancellation, _ body: (PostgresConnection, Cancellation) throws -> T
    ) throws -> T {
        let connection = try borrow()
        defer { if connection.isUsable { idle.withLock { $0.append(connection) } } }
        return try body(connection, cancellation)
    }

    private func borrow() throws -> PostgresConnection {
        while let connection = idle.withLock({ $0.popLast() }) {
            if !connection.isClosedByServer() { return connection }
        }
        let connection = try PostgresConnection(address, timeouts: timeouts)
        try Migrations.apply(to: connection, address, allowsNewer: isKnown.withLock { $0 })
        isKnown.withLock { $0 = true }
        return connection
    }
}
