import FoundationEssentials

/// Reads a record from a row: numbers and text as they are, everything composed as the JSON it was written as.
struct RowDecoder: Decoder {
    /// Where each column is; names in small letters.
    let index: [String: Int]
    let cells: [Cell]
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(RowContainer(index: index, cells: cells))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw Self.mismatch("a row is not a list", at: []) }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { throw Self.mismatch("a row is not a value", at: []) }

    static func mismatch(_ text: String, at path: [any CodingKey]) -> DecodingError {
        .dataCorrupted(.init(codingPath: path, debugDescription: text))
    }
}

private struct RowContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let index: [String: Int]
    let cells: [Cell]
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { index.keys.compactMap(Key.init(stringValue:)) }

    private func cell(_ key: Key) throws -> Cell {
        guard let place = index[key.stringValue.lowercased()] else {
            throw DecodingError.keyNotFound(key, .init(codingPath: [key], debugDescription: "there is no column '\(key.stringValue)'"))
        }
        return cells[place]
    }

    func contains(_ key: Key) -> Bool { index[key.stringValue.lowercased()] != nil }
    func decodeNil(forKey key: Key) throws -> Bool { try cell(key) == .null }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        let cell = try cell(key)
        if type == Data.self, case .bytes(let bytes) = cell, let data = Data(bytes) as? T { return data }
        do {
            return try T(from: CellDecoder(cell: cell, codingPath: [key]))
        } catch is ComposedValue {
            guard case .text(let text) = cell else { throw RowDecoder.mismatch("the column holds no JSON", at: [key]) }
            return try JSONDecoder().decode(type, from: Data(text.utf8))
        }
    }

    func nestedContainer<N: CodingKey>(keyedBy type: N.Type, forKey key: Key) throws -> KeyedDecodingContainer<N> {
        throw RowDecoder.mismatch("a row holds values", at: [key])
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        throw RowDecoder.mismatch("a row holds values", at: [key])
    }
    func superDecoder() throws -> any Decoder { throw RowDecoder.mismatch("a row holds values", at: []) }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw RowDecoder.mismatch("a row holds values", at: [key]) }
}

/// The type is not one value: its column holds JSON.
private struct ComposedValue: Error {}

private struct CellDecoder: Decoder, SingleValueDecodingContainer {
    let cell: Cell
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> { throw ComposedValue() }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw ComposedValue() }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    private var wrong: DecodingError { RowDecoder.mismatch("the column holds \(cell)", at: codingPath) }

    func decodeNil() -> Bool { cell == .null }

    func decode(_ type: Bool.Type) throws -> Bool {
        guard case .bool(let value) = cell else { throw wrong }
        return value
    }

    func decode(_ type: String.Type) throws -> String {
        guard case .text(let value) = cell else { throw wrong }
        return value
    }

    func decode(_ type: Double.Type) throws -> Double {
        switch cell {
        case .real(let value): return value
        case .integer(let value): return Double(value)
        default: throw wrong
        }
    }

    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }

    private func integer<T: FixedWidthInteger>() throws -> T {
        guard case .integer(let value) = cell, let exact = T(exactly: value) else { throw wrong }
        return exact
    }

    func decode(_ type: Int.Type) throws -> Int { try integer() }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer() }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer() }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer() }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer() }
    func decode(_ type: UInt.Type) throws -> UInt { try integer() }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer() }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer() }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer() }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer() }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try T(from: self) }
}
