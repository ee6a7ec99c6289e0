import FoundationEssentials
import OCIModel

/// SQL with its parameters: what is interpolated is bound, never spliced into the text.
struct Statement: ExpressibleByStringInterpolation, Sendable {
    fileprivate enum Part: Sendable {
        case text(String)
        case value(Parameter)
    }

    fileprivate var parts: [Part]

    init(stringLiteral text: String) { parts = [.text(text)] }

    init(stringInterpolation: StringInterpolation) { parts = stringInterpolation.parts }

    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var parts: [Part] = []

        init(literalCapacity: Int, interpolationCount: Int) {}

        mutating func appendLiteral(_ text: String) { parts.append(.text(text)) }

        /// A value, sent beside the text.
        mutating func appendInterpolation<T: Bindable>(_ value: T?) {
            parts.append(.value(value?.parameter ?? .null(T.type)))
        }

        /// A state or phase, sent beside the text.
        mutating func appendInterpolation<T: RawRepresentable>(_ value: T) where T.RawValue == String {
            parts.append(.value(.text(value.rawValue)))
        }

        /// A value in the form PostgreSQL reads for the column it goes to.
        mutating func appendInterpolation(parameter: Parameter) { parts.append(.value(parameter)) }

        /// A part of a statement with its own parameters.
        mutating func appendInterpolation(_ fragment: Statement) { parts += fragment.parts }

        /// The quoted name of a table or column (PostgreSQL, 4.1.1).
        mutating func appendInterpolation(name: String) {
            parts.append(.text("\"\(name.replacing("\"", with: "\"\""))\""))
        }
    }

    static func joined(_ statements: [Statement], by separator: String) -> Statement {
        var joined: Statement = ""
        for (index, statement) in statements.enumerated() {
            if index > 0 { joined.parts.append(.text(separator)) }
            joined.parts += statement.parts
        }
        return joined
    }

    /// The text with `$1`, `$2`, … and what they stand for.
    var rendered: (text: String, parameters: [Parameter]) {
        var text = ""
        var parameters: [Parameter] = []
        for part in parts {
            switch part {
            case .text(let piece): text += piece
            case .value(let value):
                parameters.append(value)
                text += "$\(parameters.count)"
            }
        }
        return (text, parameters)
    }

    /// Seconds since 1970 by the database's clock: it goes on within a transaction, and is the same for all servers.
    static let now: Statement = "(SELECT extract(epoch FROM clock_timestamp())::float8)"
}

/// The types we use, by their object identifiers (pg_type.dat of PostgreSQL).
enum TypeID {
    static let bool: UInt32 = 16, bytes: UInt32 = 17, name: UInt32 = 19, int8: UInt32 = 20, int2: UInt32 = 21, int4: UInt32 = 23
    static let text: UInt32 = 25, float4: UInt32 = 700, float8: UInt32 = 701, varchar: UInt32 = 1043, void: UInt32 = 2278
}

/// A value on its way to the database.
enum Parameter: Sendable {
    case null(UInt32)
    case bool(Bool)
    case integer(Int64)
    case real(Double)
    case text(String)
    case bytes([UInt8])
    /// Read by the database as the type of the place it stands in.
    case untyped(String?)

    var type: UInt32 {
        switch self {
        case .null(let type): type
        case .bool: TypeID.bool
        case .integer: TypeID.int8
        case .real: TypeID.float8
        case .text: TypeID.text
        case .bytes: TypeID.bytes
        case .untyped: 0
        }
    }

    var isBinary: Bool { if case .bytes = self { true } else { false } }

    /// The value as it is sent, with a zero at the end of text; nil is NULL.
    var bytes: [UInt8]? {
        switch self {
        case .null: nil
        case .bool(let value): Self.terminated(value ? "t" : "f")
        case .integer(let value): Self.terminated("\(value)")
        case .real(let value): Self.terminated("\(value)")
        case .text(let value): Self.terminated(value)
        case .untyped(let value): value.map(Self.terminated)
        case .bytes(let value): value
        }
    }

    /// PostgreSQL's text holds no zero bytes (8.3); programs' output may.
    private static func terminated(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        let clean = bytes.contains(0) ? Array(text.replacing("\0", with: "\u{FFFD}").utf8) : bytes
        return clean + [0]
    }
}

/// What can be bound.
protocol Bindable: Sendable {
    static var type: UInt32 { get }
    var parameter: Parameter { get }
}

extension String: Bindable {
    static var type: UInt32 { TypeID.text }
    var parameter: Parameter { .text(self) }
}

extension Int: Bindable {
    static var type: UInt32 { TypeID.int8 }
    var parameter: Parameter { .integer(Int64(self)) }
}

extension Int64: Bindable {
    static var type: UInt32 { TypeID.int8 }
    var parameter: Parameter { .integer(self) }
}

extension Double: Bindable {
    static var type: UInt32 { TypeID.float8 }
    var parameter: Parameter { .real(self) }
}

extension Bool: Bindable {
    static var type: UInt32 { TypeID.bool }
    var parameter: Parameter { .bool(self) }
}

extension [UInt8]: Bindable {
    static var type: UInt32 { TypeID.bytes }
    var parameter: Parameter { .bytes(self) }
}

extension Data: Bindable {
    static var type: UInt32 { TypeID.bytes }
    var parameter: Parameter { .bytes(Array(self)) }
}

extension Digest: Bindable {
    static var type: UInt32 { TypeID.text }
    var parameter: Parameter { .text(description) }
}
