import CPostgres

/// A value that came from the database.
enum Cell: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case real(Double)
    case text(String)
    case bytes([UInt8])
}

/// What a statement returned, copied out of libpq's memory.
struct Rows: Sendable {
    /// Column names as PostgreSQL folds them, in small letters.
    let columns: [String]
    let cells: [[Cell]]
    /// The rows a command changed.
    let changed: Int

    /// - Parameter result: of a statement that asked for binary results.
    init(copying result: OpaquePointer) throws(PostgresFailure) {
        let width = PQnfields(result)
        columns = (0..<width).map { String(cString: PQfname(result, $0)).lowercased() }
        var rows: [[Cell]] = []
        for row in 0..<PQntuples(result) {
            var cells: [Cell] = []
            for column in 0..<width {
                cells.append(try Self.cell(result, row, column))
            }
            rows.append(cells)
        }
        cells = rows
        changed = Int(String(cString: PQcmdTuples(result))) ?? 0
    }

    /// The binary forms are those of the types' send functions: numbers in network byte order.
    private static func cell(_ result: OpaquePointer, _ row: Int32, _ column: Int32) throws(PostgresFailure) -> Cell {
        if PQgetisnull(result, row, column) == 1 { return .null }
        let count = Int(PQgetlength(result, row, column))
        let raw = UnsafeRawBufferPointer(start: PQgetvalue(result, row, column), count: count)
        let type = PQftype(result, column)
        func number() -> UInt64 { raw.reduce(0) { $0 << 8 | UInt64($1) } }
        switch (type, count) {
        case (TypeID.bool, 1): return .bool(raw[0] != 0)
        case (TypeID.int8, 8): return .integer(Int64(bitPattern: number()))
        case (TypeID.int4, 4): return .integer(Int64(Int32(truncatingIfNeeded: number())))
        case (TypeID.int2, 2): return .integer(Int64(Int16(truncatingIfNeeded: number())))
        case (TypeID.float8, 8): return .real(Double(bitPattern: number()))
        case (TypeID.float4, 4): return .real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: number()))))
        case (TypeID.bytes, _): return .bytes(Array(raw))
        case (TypeID.text, _), (TypeID.varchar, _), (TypeID.name, _): return .text(String(decoding: raw, as: UTF8.self))
        case (TypeID.void, _): return .null
        default:
            throw PostgresFailure(
                message: "the column '\(String(cString: PQfname(result, column)))' has the type \(type), which is not read here")
        }
    }

    /// The rows as records, by the names of their columns.
    func records<T: Decodable>(_ type: T.Type = T.self) throws -> [T] {
        let index = Dictionary(columns.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        return try cells.map { try T(from: RowDecoder(index: index, cells: $0)) }
    }

    func record<T: Decodable>(_ type: T.Type = T.self) throws -> T? {
        try cells.isEmpty ? nil : Rows(columns: columns, cells: [cells[0]]).records(type).first
    }

    private init(columns: [String], cells: [[Cell]]) {
        self.columns = columns
        self.cells = cells
        changed = 0
    }

    /// The first column, where it holds whole numbers.
    var integers: [Int64] { cells.compactMap { if case .integer(let value)? = $0.first { value } else { nil } } }
    /// The first column, where it holds text.
    var texts: [String] { cells.compactMap { if case .text(let value)? = $0.first { value } else { nil } } }
}
