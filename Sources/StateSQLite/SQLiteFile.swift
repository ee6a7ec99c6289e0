import GRDB
public import StateStore
public import SystemPackage

/// A database file that is only read: a backup, or the store of a server that is running.
public struct SQLiteFile: StoreSource {
    private let database: DatabaseQueue
    private let file: FilePath

    /// - Throws: ``StateError`` when it is no database of Slipway, or a newer one has written it.
    public init(_ file: FilePath) throws {
        self.file = file
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(5)
        do {
            database = try DatabaseQueue(path: file.string, configuration: configuration)
            guard try database.read({ try $0.tableExists("grdb_migrations") && $0.tableExists("project") }) else {
                throw StateError(.unavailable, "\(file) is no store of Slipway", hint: "name a file that 'slipway store backup' has written")
            }
        } catch let error as StateError {
            throw error
        } catch {
            throw StateError(
                .unavailable, "\(file) cannot be read as a store: \(error)", hint: "name a file that 'slipway store backup' has written")
        }
        if try database.read({ try Migrations.all.hasBeenSuperseded($0) }) {
            throw StateError(
                .newerSchema, "\(file) was written by a newer version of Slipway", hint: "use that version")
        }
    }

    public func readAll(_ each: (StoredRows) throws -> Void) throws {
        try withoutActuallyEscaping(each) { each in try database.read { try SQLiteStore.readAll($0, each) } }
    }

    /// Copies everything, as it is at one moment, to a new file. A server may write meanwhile.
    ///
    /// The file holds the whole database: nothing beside it is needed. It is not synchronised to the disk here.
    public func backUp(to new: FilePath) throws {
        let target = try DatabaseQueue(path: new.string)
        try database.backup(to: target)
        let damage = try target.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA journal_mode = DELETE")
            return try String.fetchAll(db, sql: "PRAGMA quick_check").filter { $0 != "ok" }
        }
        try target.close()
        if let first = damage.first {
            throw StoreDamage.error(file, first)
        }
    }
}

extension SQLiteStore {
    /// An empty file that only this store's tables are in; for a backup of another kind of store.
    public static func makeFile(_ file: FilePath, from source: some StoreSource) throws {
        let store = try SQLiteStore(file: file) { 0 }
        try store.fill(replacing: false) { try source.readAll($0) }
        _ = try store.database.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try store.database.close()
        let queue = try DatabaseQueue(path: file.string)
        try queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA journal_mode = DELETE") }
        try queue.close()
    }
}
