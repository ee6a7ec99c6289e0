import Driver
import OCIModel

/// Reads any bytes as each of the documents and names that come from outside. What is accepted can be written, and read
/// again as the same value.
@_cdecl("Documents_main")
func main(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 {
    var count = count
    var arguments = arguments
    return LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
        let bytes = Array(UnsafeBufferPointer(start: bytes, count: count))
        document(Manifest.self, bytes)
        document(Index.self, bytes)
        document(ImageConfig.self, bytes)
        let text = String(decoding: bytes, as: UTF8.self)
        name(text) { (text) throws(OCIError) in try ImageReference(parsing: text) }
        name(text) { (text) throws(OCIError) in try Digest(parsing: text) }
        name(text) { (text) throws(OCIError) in try RepositoryName(parsing: text) }
        name(text) { (text) throws(OCIError) in try Tag(parsing: text) }
        return 0
    }
}

private func document<Document: Codable & Equatable>(_ type: Document.Type, _ bytes: [UInt8]) {
    let value: Document
    do {
        value = try OCIJSON.decode(type, from: bytes)
    } catch let error as OCIError {
        return precondition(!error.message.isEmpty && !error.hint.isEmpty)
    } catch {
        preconditionFailure("\(error)")
    }
    do {
        let written = try OCIJSON.encode(value)
        let again = try OCIJSON.decode(type, from: written)
        precondition(again == value, "\(value)")
        let twice = try OCIJSON.encode(again)
        precondition(twice == written, "\(value)")
    } catch {
        preconditionFailure("\(error)")
    }
}

private func name<Name: CustomStringConvertible & Equatable>(_ text: String, _ parse: (String) throws(OCIError) -> Name) {
    let value: Name
    do {
        value = try parse(text)
    } catch {
        return precondition(!error.message.isEmpty && !error.hint.isEmpty)
    }
    precondition((try? parse(value.description)) == value, text)
}
