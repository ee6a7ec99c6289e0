import GRDB
import StateStore
import Synchronization

/// Lets writes that come while the disk is busy share its next sync: they become one transaction, with a savepoint for
/// each, so that one that fails takes nothing with it. A caller hears of its write only once the transaction is durable.
///
/// A lone write begins at once; nobody waits for company.
final class GroupCommit: Sendable {
    /// Writes in one transaction at most: what bounds the wait of the first of them.
    private static let largest = 256

    private struct Entry: Sendable {
        let perform: @Sendable (GRDB.Database) -> Void
        /// With an error when the transaction as a whole came to nothing.
        let finish: @Sendable ((any Error)?) -> Void
    }

    private struct State {
        var waiting: [Entry] = []
        var isWriting = false
    }

    private final class Outcome<T: Sendable>: Sendable {
        private let result = Mutex<Result<T, any Error>?>(nil)
        func set(_ value: Result<T, any Error>) { result.withLock { $0 = value } }
        func get() throws -> T {
            guard let result = result.withLock({ $0 }) else {
                throw StateError(.unavailable, "the write was not carried out", hint: "try again")
            }
            return try result.get()
        }
    }

    private let database: DatabasePool
    /// Asked after each write; what it throws undoes the transaction.
    private let keepOn: @Sendable () throws -> Void
    private let state = Mutex(State())

    init(_ database: DatabasePool, keepOn: @escaping @Sendable () throws -> Void = {}) {
        self.database = database
        self.keepOn = keepOn
    }

    func write<T: Sendable>(_ body: @escaping @Sendable (GRDB.Database) throws -> T) async throws -> T {
        try Task.checkCancellation()
        let outcome = Outcome<T>()
        return try await withCheckedThrowingContinuation { continuation in
            let entry = Entry(
                perform: { db in
                    outcome.set(
                        Result {
                            try db.execute(sql: "SAVEPOINT write")
                            do {
                                let value = try body(db)
                                try db.execute(sql: "RELEASE write")
                                return value
                            } catch {
                                // Some failures, a full disk say, have ended the whole transaction already.
                                if db.isInsideTransaction { try db.execute(sql: "ROLLBACK TO write; RELEASE write") }
                                throw error
                            }
                        })
                },
                finish: { failure in
                    continuation.resume(
                        with: Result {
                            if let failure { throw failure }
                            return try outcome.get()
                        })
                })
            let begins = state.withLock { state in
                state.waiting.append(entry)
                defer { state.isWriting = true }
                return !state.isWriting
            }
            if begins { database.asyncWriteWithoutTransaction { self.writeAll($0) } }
        }
    }

    /// On the writer's thread, until nobody waits.
    private func writeAll(_ db: GRDB.Database) {
        while true {
            let group = state.withLock { state in
                let group = Array(state.waiting.prefix(Self.largest))
                state.waiting.removeFirst(group.count)
                if group.isEmpty { state.isWriting = false }
                return group
            }
            if group.isEmpty { return }
            do {
                try db.inTransaction(.immediate) {
                    for entry in group {
                        entry.perform(db)
                        try keepOn()
                        guard db.isInsideTransaction else {
                            throw StateError(
                                .unavailable, "the database ended the transaction", hint: "check that the disk is not full")
                        }
                    }
                    return .commit
                }
                for entry in group { entry.finish(nil) }
            } catch {
                for entry in group { entry.finish(error) }
            }
        }
    }
}
