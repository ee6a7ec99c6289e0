import FoundationEssentials
import GRDB
public import StateStore

/// Everything at once, for the commands that move stores.
extension SQLiteStore: StoreSource, StoreSink {
    public func readAll(_ each: (StoredRows) throws -> Void) throws {
        try withoutActuallyEscaping(each) { each in try database.read { try Self.readAll($0, each) } }
    }

    public func fill(replacing: Bool, _ body: ((StoredRows) throws -> Void) throws -> Void) throws {
        try database.write { db in
            let tables = try Self.tables(db)
            for table in tables.reversed() {
                if replacing {
                    try db.execute(sql: "DELETE FROM \(table.quotedDatabaseIdentifier)")
                } else if try Row.fetchOne(db, sql: "SELECT 1 FROM \(table.quotedDatabaseIdentifier) LIMIT 1") != nil {
                    throw StateError.notEmpty("database \(database.path)")
                }
            }
            try body { try Self.insert($0, tables, db) }
        }
    }

    /// Whether nothing has been stored yet.
    public func isEmpty() throws -> Bool {
        try database.read { db in
            try Self.tables(db).allSatisfy {
                try Row.fetchOne(db, sql: "SELECT 1 FROM \($0.quotedDatabaseIdentifier) LIMIT 1") == nil
            }
        }
    }

    static func readAll(_ db: GRDB.Database, _ each: (StoredRows) throws -> Void) throws {
        for table in try tables(db) {
            let columns = try db.columns(in: table).map(\.name)
            var batch: [[StoredValue]] = []
            var bytes = 0
            let cursor = try Row.fetchCursor(db, sql: "SELECT * FROM \(table.quotedDatabaseIdentifier)")
            while let row = try cursor.next() {
                let values = Array(row.databaseValues.map(stored))
                bytes += values.reduce(0) { if case .bytes(let some) = $1 { $0 + some.count } else { $0 + 16 } }
                batch.append(values)
                if batch.count == 100 || bytes > 4 << 20 {
                    try each(StoredRows(table: table, columns: columns, rows: batch))
                    (batch, bytes) = ([], 0)
                }
            }
            let last = try Int64.fetchOne(db, sql: "SELECT seq FROM sqlite_sequence WHERE name = ?", arguments: [table])
            try each(StoredRows(table: table, columns: columns, rows: batch, lastID: last))
        }
    }

    private static func insert(_ rows: StoredRows, _ tables: [String], _ db: GRDB.Database) throws {
        guard let table = tables.first(where: { $0.lowercased() == rows.table.lowercased() }) else {
            throw StateError(
                .newerSchema, "the table '\(rows.table)' is not known to this database", hint: "use the version of Slipway that wrote it")
        }
        let columns = rows.columns.map(\.quotedDatabaseIdentifier).joined(separator: ", ")
        let places = rows.columns.map { _ in "?" }.joined(separator: ", ")
        for row in rows.rows {
            let values = row.map(databaseValue)
            try db.execute(
                sql: "INSERT INTO \(table.quotedDatabaseIdentifier) (\(columns)) VALUES (\(places))", arguments: StatementArguments(values))
        }
        if let last = rows.lastID {
            try db.execute(sql: "DELETE FROM sqlite_sequence WHERE name = ?", arguments: [table])
            try db.execute(sql: "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", arguments: [table, last])
        }
    }

    /// The tables, each after those it refers to.
    private static func tables(_ db: GRDB.Database) throws -> [String] {
        let names = try String.fetchAll(
            db, sql: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'grdb_migrations'"
        ).filter { !tablesOfServers.contains($0) }
        var references: [String: Set<String>] = [:]
        for name in names { references[name] = Set(try db.foreignKeys(on: name).map(\.destinationTable)) }
        return orderedByReference(names, references: references)
    }

    private static func stored(_ value: DatabaseValue) -> StoredValue {
        switch value.storage {
        case .null: .null
        case .int64(let number): .integer(number)
        case .double(let number): .real(number)
        case .string(let text): .text(text)
        case .blob(let data): .bytes(Array(data))
        }
    }

    private static func databaseValue(_ value: StoredValue) -> DatabaseValue {
        switch value {
        case .null: .null
        case .integer(let number): number.databaseValue
        case .real(let number): number.databaseValue
        case .text(let text): text.databaseValue
        case .bytes(let bytes): Data(bytes).databaseValue
        }
    }
}
