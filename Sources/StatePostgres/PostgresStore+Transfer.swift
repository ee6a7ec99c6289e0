public import StateStore

/// Everything at once, for the commands that move stores. Each call has a connection of its own.
extension PostgresStore: StoreSource, StoreSink {
    public func readAll(_ each: (StoredRows) throws -> Void) throws {
        try transferring { connection in
            try connection.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") { connection in
                for table in try Self.tables(connection) {
                    try connection.run("DECLARE rows NO SCROLL CURSOR FOR SELECT * FROM \(name: table)")
                    while true {
                        let batch = try connection.run("FETCH 20 FROM rows")
                        let isLast = batch.cells.isEmpty
                        try each(
                            StoredRows(
                                table: table, columns: batch.columns, rows: batch.cells.map { $0.map(Self.stored) },
                                lastID: isLast ? try Self.lastID(of: table, connection) : nil))
                        if isLast { break }
                    }
                    try connection.run("CLOSE rows")
                }
            }
        }
    }

    public func fill(replacing: Bool, _ body: ((StoredRows) throws -> Void) throws -> Void) throws {
        try transferring { connection in
            try connection.transaction { connection in
                try connection.run("SELECT pg_advisory_xact_lock(\(Migrations.lock))")
                let tables = try Self.tables(connection)
                try refuseWhenInUse(connection)
                for table in tables.reversed() {
                    if replacing {
                        try connection.run("DELETE FROM \(name: table)")
                    } else if try !connection.run("SELECT 1 FROM \(name: table) LIMIT 1").cells.isEmpty {
                        throw StateError.notEmpty(place)
                    }
                }
                try body { rows in try insert(rows, tables, connection) }
            }
        }
    }

    private func transferring(_ body: (PostgresConnection) throws -> Void) throws {
        do {
            // The file at the other end may be slow.
            var timeouts = pool.timeouts
            timeouts.idle = 60
            let connection = try PostgresConnection(pool.address, timeouts: timeouts, purpose: "slipway store")
            try Migrations.apply(to: connection, pool.address)
            try body(connection)
        } catch let failure as PostgresFailure {
            throw failure.explained(pool.address)
        }
    }

    private func refuseWhenInUse(_ connection: PostgresConnection) throws {
        let servers = try connection.run(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name IN ('slipway', 'slipway changes')
            """
        ).integers.first
        if let servers, servers > 0 {
            throw StateError(.exists, "a server uses the \(place)", hint: "stop it first")
        }
    }

    private func insert(_ rows: StoredRows, _ tables: [String], _ connection: PostgresConnection) throws {
        guard let table = tables.first(where: { $0 == rows.table.lowercased() }) else {
            throw StateError(
                .newerSchema, "the table '\(rows.table)' is not known to the \(place)", hint: "use the version of Slipway that wrote it")
        }
        let columns = Statement.joined(rows.columns.map { "\(name: $0.lowercased())" }, by: ", ")
        if !rows.rows.isEmpty {
            let values = rows.rows.map { row -> Statement in
                let cells = row.map { value -> Statement in "\(parameter: Self.parameter(value))" }
                return "(\(Statement.joined(cells, by: ", ")))"
            }
            try connection.run("INSERT INTO \(name: table) (\(columns)) VALUES \(Statement.joined(values, by: ", "))")
        }
        if let last = rows.lastID, last > 0 {
            try connection.run("SELECT setval(pg_get_serial_sequence(\(table), 'id'), \(last))")
        }
    }

    /// The tables, each after those it refers to.
    private static func tables(_ connection: PostgresConnection) throws -> [String] {
        let names = try connection.run(
            """
            SELECT c.relname::text FROM pg_class c
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> 'slipwaymigration'
            """
        ).texts.filter { !tablesOfServers.contains($0) }
        var references: [String: Set<String>] = [:]
        let rows = try connection.run(
            """
            SELECT c.relname::text, f.relname::text FROM pg_constraint k
            JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
            WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace
            """)
        for row in rows.cells {
            if case .text(let from) = row[0], case .text(let to) = row[1] { references[from, default: []].insert(to) }
        }
        return orderedByReference(names, references: references)
    }

    private static func lastID(of table: String, _ connection: PostgresConnection) throws -> Int64? {
        try connection.run(
            """
            SELECT pg_sequence_last_value(pg_get_serial_sequence(\(table), column_name)::regclass)
            FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = \(table) AND column_name = 'id' AND is_identity = 'YES'
            """
        ).integers.first
    }

    private static func stored(_ cell: Cell) -> StoredValue {
        switch cell {
        case .null: .null
        case .bool(let value): .integer(value ? 1 : 0)
        case .integer(let value): .integer(value)
        case .real(let value): .real(value)
        case .text(let value): .text(value)
        case .bytes(let value): .bytes(value)
        }
    }

    /// In the form that every column's type reads: a boolean column takes 0 and 1, a number's column takes digits.
    private static func parameter(_ value: StoredValue) -> Parameter {
        switch value {
        case .null: .untyped(nil)
        case .integer(let value): .untyped("\(value)")
        case .real(let value): .untyped("\(value)")
        case .text(let value): .untyped(value)
        case .bytes(let value): .bytes(value)
        }
    }
}
