import FoundationEssentials
public import GRDB
public import OCIModel
public import StateStore
public import SystemPackage

extension Digest: DatabaseValueConvertible {
    public var databaseValue: DatabaseValue { description.databaseValue }

    public static func fromDatabaseValue(_ value: DatabaseValue) -> Digest? {
        String.fromDatabaseValue(value).flatMap { try? Digest(parsing: $0) }
    }
}

extension Project: FetchableRecord, PersistableRecord {}
extension Delivery: FetchableRecord {}
extension Run: FetchableRecord {}
extension Step: FetchableRecord {}
extension Release: FetchableRecord {}
extension Deployment: FetchableRecord {}
extension Approval: FetchableRecord {}
extension RecordedEvent: FetchableRecord {}
extension OutboxTarget: FetchableRecord {}
extension OutboxMessage: FetchableRecord {}
extension Reconciliation: FetchableRecord {}

/// The default store: one SQLite file in WAL mode with `synchronous=FULL`, so that what was committed survives a
/// power cut. One process may use a file at a time; a lock on the data directory sees to that.
public struct SQLiteStore: StateStore {
    let database: DatabasePool
    private let group: GroupCommit
    let clock: @Sendable () -> Double

    /// Opens or creates the file and brings its schema up to date.
    ///
    /// - Parameter clock: seconds since 1970.
    /// - Throws: ``StateError`` with `newerSchema` when a newer Slipway has written the file.
    public init(file: FilePath, clock: @escaping @Sendable () -> Double) throws {
        var configuration = Configuration()
        configuration.maximumReaderCount = 4
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "PRAGMA foreign_keys = ON")
        }
        do {
            database = try DatabasePool(path: file.string, configuration: configuration)
        } catch {
            throw StateError(
                .unavailable, "the database \(file) cannot be opened: \(error)",
                hint: "check that the folder is writable and the disk not full")
        }
        self.clock = clock
        group = GroupCommit(database)
        let migrator = Migrations.all
        if try database.read({ try migrator.hasBeenSuperseded($0) }) {
            throw StateError(
                .newerSchema, "the database \(file) was written by a newer version of Slipway",
                hint: "start that version, or restore a backup made before the upgrade")
        }
        try migrator.migrate(database)
    }

    /// None: there is no other server.
    public func changes() -> AsyncStream<Void> { AsyncStream { $0.finish() } }

    public func ping() async throws {
        _ = try await database.read { try Int.fetchOne($0, sql: "SELECT 1") }
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (GRDB.Database) throws -> T) async throws -> T {
        try await database.read(body)
    }

    func write<T: Sendable>(_ body: @escaping @Sendable (GRDB.Database) throws -> T) async throws -> T {
        try await group.write(body)
    }
}

/// Appends a line to what happened, within the transaction that made it happen.
func recordEvent(
    _ db: GRDB.Database, at: Double, project: String, run: Int64? = nil, deployment: Int64? = nil, actor: String,
    state: String? = nil, message: String
) throws {
    try db.execute(
        sql: "INSERT INTO event (at, project, run, deployment, actor, state, message) VALUES (?, ?, ?, ?, ?, ?, ?)",
        arguments: [at, project, run, deployment, actor, state, message])
}
