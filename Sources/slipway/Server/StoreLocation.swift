import Foundation
import StatePostgres
import StateSQLite
import StateStore
import SystemPackage

/// Which store: a database file, or a PostgreSQL database by its URL.
enum StoreLocation: Sendable, CustomStringConvertible {
    case file(FilePath)
    case postgres(String)

    init(_ text: String) {
        self = PostgresStore.isURL(text) ? .postgres(text) : .file(FilePath(URL(fileURLWithPath: text).standardizedFileURL.path))
    }

    /// Without a password.
    var description: String {
        switch self {
        case .file(let file): "the file \(file)"
        case .postgres(let url): (try? PostgresStore(url: url).place).map { "PostgreSQL, \($0)" } ?? "PostgreSQL"
        }
    }

    /// Whether there is a file yet; a database always counts.
    var exists: Bool {
        switch self {
        case .file(let file): FileManager.default.fileExists(atPath: file.string)
        case .postgres: true
        }
    }

    /// Whether several servers may use it.
    var isShared: Bool { if case .postgres = self { true } else { false } }

    /// Opens the store. A file is made when it is missing; a database is reached with the first call.
    ///
    /// - Parameter clock: seconds since 1970, for a file; a database has a clock of its own.
    func open(
        connections: Int = PostgresStore.defaultConnections, clock: @escaping @Sendable () -> Double = { Date.now.timeIntervalSince1970 }
    ) throws -> any StateStore & StoreSource & StoreSink {
        do {
            switch self {
            case .file(let file): return try SQLiteStore(file: file, clock: clock)
            case .postgres(let url): return try PostgresStore(url: url, connections: connections)
            }
        } catch let error as StateError {
            throw Failure(error)
        }
    }

    /// Whether this version understands what is there. Nothing is written, and a server may use it meanwhile. What a database
    /// has is said when it is used, which changes nothing for others either.
    func checkSchema() throws {
        guard case .file(let file) = self, exists else { return }
        do { _ = try SQLiteFile(file) } catch let error as StateError { throw Failure(error) }
    }

    /// Keeps other processes from using a file; a database looks after itself.
    func lock() throws -> FileLock? {
        guard case .file(let name) = self else { return nil }
        // One file has one lock, by whatever links it is reached.
        let file = FilePath(URL(fileURLWithPath: name.string).resolvingSymlinksInPath().path)
        return try FileLock(
            FilePath("\(file).lock"), ifBusy: Failure("a server uses the store \(file)", hint: "stop it first"),
            ifUnwritable: { Failure("the store \(file) cannot be written: \($0)", hint: "check that the folder is there and writable") })
    }
}

extension Failure {
    /// What a store says; when it cannot be reached the exit status says so too.
    init(_ error: StateError) {
        self.init(error.message, hint: error.hint, status: error.code == .exists ? Self.refused : Self.failed)
    }
}
