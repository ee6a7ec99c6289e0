/// A value of a table, as it is moved from one store to another.
public enum StoredValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case bytes([UInt8])
}

/// Some rows of one table. Stores differ in how they write names: whoever takes rows compares names without case.
public struct StoredRows: Sendable {
    public var table: String
    public var columns: [String]
    public var rows: [[StoredValue]]
    /// With the last rows of a table that numbers its rows: the highest number it ever gave. Numbers are never given twice, as
    /// folders are named for them.
    public var lastID: Int64?

    public init(table: String, columns: [String], rows: [[StoredValue]], lastID: Int64? = nil) {
        self.table = table
        self.columns = columns
        self.rows = rows
        self.lastID = lastID
    }
}

/// A store whose whole content can be read. The call blocks: it is for commands, on a thread of their own.
public protocol StoreSource: Sendable {
    /// Hands over everything as it is at one moment, each table after those it refers to.
    func readAll(_ each: (StoredRows) throws -> Void) throws
}

/// A store that can take the whole content of another. The call blocks: it is for commands, on a thread of their own.
public protocol StoreSink: Sendable {
    /// Takes everything that `body` hands over in one transaction: all of it, or nothing when anything fails.
    ///
    /// - Parameter replacing: removes what is there first.
    /// - Throws: ``StateError`` with `exists` when there is anything and `replacing` is false, or when a server uses the store.
    func fill(replacing: Bool, _ body: ((StoredRows) throws -> Void) throws -> Void) throws
}

extension StateError {
    /// What a sink says that holds something.
    public static func notEmpty(_ place: String) -> StateError {
        StateError(
            .exists, "the \(place) is not empty",
            hint: "name an empty one; or restore with --force, which removes what is there")
    }
}

/// Tables about the servers that use a store now. They are not moved with it; names in small letters.
public let tablesOfServers: Set<String> = ["lease", "installation"]

/// Names of tables, each after those it refers to.
public func orderedByReference(_ tables: [String], references: [String: Set<String>]) -> [String] {
    var ordered: [String] = []
    var rest = tables.sorted()
    while !rest.isEmpty {
        let ready = rest.filter { name in (references[name] ?? []).allSatisfy { $0 == name || !rest.contains($0) } }
        // In a circle no order is right; the database will say so.
        let next = ready.isEmpty ? rest : ready
        ordered += next
        rest.removeAll { next.contains($0) }
    }
    return ordered
}
