import FoundationEssentials

/// JSON as our documents are written: sorted keys, no escaped slashes, so that equal values are equal bytes.
public enum OCIJSON {
    public static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    /// - Throws: ``OCIError`` with code `invalidDocument` when the bytes are not such a document.
    public static func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as OCIError {
            throw error
        } catch {
            throw OCIError(
                .invalidDocument, "not a valid \(type) document: \(error)",
                hint: "the image is damaged or of a kind Slipway does not read")
        }
    }
}
