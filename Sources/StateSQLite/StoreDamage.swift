import GRDB
import StateStore
import Synchronization
import SystemPackage

/// Puts SQLite's failures into words, and remembers when one of them says that the file is damaged: from then on nothing is
/// written to it, so that what can be saved is not made less.
final class StoreDamage: Sendable {
    private struct State {
        var error: StateError?
        weak var pool: DatabasePool?
    }

    private let file: FilePath
    private let state = Mutex(State())

    init(file: FilePath) { self.file = file }

    /// The connections to what is watched.
    func watch(_ pool: DatabasePool) { state.withLock { $0.pool = pool } }

    /// Throws once damage has been found.
    func check() throws(StateError) {
        if let error = state.withLock({ $0.error }) { throw error }
    }

    /// Marks the file as damaged.
    @discardableResult
    func record(_ what: String) -> StateError {
        let error = Self.error(file, what)
        let pool = state.withLock { state in
            defer { state.error = state.error ?? error }
            return state.error == nil ? state.pool : nil
        }
        // Never closed: whoever closes a database last moves the log beside it into the file.
        if let pool { _ = Unmanaged.passRetained(pool) }
        return error
    }

    /// What a caller is told; what is not about the file stays as it is.
    func explained(_ error: any Error) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        let words = error.message ?? "\(error.extendedResultCode)"
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: return record(words)
        case .SQLITE_FULL:
            return StateError(
                .unavailable, "the disk of the database \(file) is full", hint: "free some space; nothing is lost, it goes on by itself")
        case .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_READONLY:
            return StateError(
                .unavailable, "the database \(file) cannot be read or written: \(words)",
                hint: "check that the disk is sound, not full, and writable for the server")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return StateError(
                .unavailable, "another program holds the database \(file)", hint: "stop what writes to it; only the server may")
        default: return error
        }
    }

    static func error(_ file: FilePath, _ what: String) -> StateError {
        StateError(
            .damaged, "the database \(file) is damaged: \(what)",
            hint: """
                stop the server, move \(file), \(file)-wal and \(file)-shm away, and put the last backup back with: \
                slipway store restore BACKUP; docs/server.md#bad-days says what to do without one
                """)
    }
}
