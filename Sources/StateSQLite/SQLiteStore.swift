import FoundationEssentials
public import GRDB
public import OCIModel
public import StateStore
public import SystemPackage

public import struct DeliveryModel.Scale
public import struct DeliveryModel.Train

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
extension Train: FetchableRecord {}
extension Scale: FetchableRecord {}
extension Approval: FetchableRecord {}
extension Job: FetchableRecord {}
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
    let damage: StoreDamage

    static var configuration: Configuration {
        var configuration = Configuration()
        configuration.maximumReaderCount = 4
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "PRAGMA foreign_keys = ON")
            try db.execute(sql: "PRAGMA cell_size_check = ON")
        }
        return configuration
    }

    /// Opens or creates the file, looks whether it is sound, and brings its schema up to date.
    ///
    /// - Parameter clock: seconds since 1970; must not jump, as leases are counted by it.
    /// - Throws: ``StateError`` with `newerSchema` when a newer Slipway has written the file, with `damaged` when it is damaged.
    public init(file: FilePath, clock: @escaping @Sendable () -> Double) throws {
        damage = StoreDamage(file: file)
        self.clock = clock
        do {
            try Self.makeIfMissing(file)
            try Self.examine(file)
            database = try DatabasePool(path: file.string, configuration: Self.configuration)
            damage.watch(database)
            group = GroupCommit(database, keepOn: damage.check)
            try inspectLater(file)
        } catch {
            let explained = damage.explained(error)
            if let error = explained as? StateError { throw error }
            throw StateError(
                .unavailable, "the database \(file) cannot be opened: \(explained)",
                hint: "check that the folder is writable and the disk not full")
        }
        let migrator = Migrations.all
        if try database.read({ try migrator.hasBeenSuperseded($0) }) {
            throw StateError(
                .newerSchema, "the database \(file) was written by a newer version of Slipway",
                hint: "start that version, or restore a backup made before the upgrade")
        }
        do {
            try migrator.migrate(database)
            // What is behind belongs to an earlier round of the log from here on, see WriteAheadLog.
            try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(PASSIVE)") }
            try forgetTheFuture()
        } catch {
            throw damage.explained(error)
        }
    }

    /// None: there is no other server.
    public func changes() -> AsyncStream<Void> { AsyncStream { $0.finish() } }

    public func ping() async throws {
        try damage.check()
        _ = try await read { try Int.fetchOne($0, sql: "SELECT 1") }
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (GRDB.Database) throws -> T) async throws -> T {
        do { return try await database.read(body) } catch { throw damage.explained(error) }
    }

    func write<T: Sendable>(_ body: @escaping @Sendable (GRDB.Database) throws -> T) async throws -> T {
        try damage.check()
        let damage = damage
        do {
            return try await group.write { db in
                // Known before the transaction that it is in would be committed.
                do { return try body(db) } catch {
                    _ = damage.explained(error)
                    throw error
                }
            }
        } catch {
            throw damage.explained(error)
        }
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
