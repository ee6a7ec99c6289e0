/// The client's side of RFC 6455, as far as an echo of short texts needs it.
enum WebSocketWire {
    /// The opening handshake, 4.1. The key is the sample of the RFC: what it guards against cannot happen here.
    static func handshake(path: String, host: String) -> String {
        "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    }

    static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    /// The head of an answer, and what is after it; nil while it is not whole.
    static func head(_ bytes: [UInt8]) -> (status: Int, fields: [String: String], rest: [UInt8])? {
        guard let end = bytes.indices.dropLast(3).first(where: { bytes[$0...].starts(with: [13, 10, 13, 10]) }) else { return nil }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            fields[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
        }
        return (words.count > 1 ? Int(words[1]) ?? 0 : 0, fields, Array(bytes[(end + 4)...]))
    }

    /// One masked frame of at most 125 bytes, 5.2.
    static func frame(opcode: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let mask: [UInt8] = [0x37, 0xfa, 0x21, 0x3d]
        let text = payload.prefix(125)
        return [0x80 | opcode, 0x80 | UInt8(text.count)] + mask + zip(text, 0...).map { $0 ^ mask[$1 % 4] }
    }

    /// The first frame of the other side, without what is left; nil while it is not whole. Longer ones than 125 bytes are not expected.
    static func first(_ bytes: [UInt8]) -> (opcode: UInt8, payload: [UInt8], rest: [UInt8])? {
        guard bytes.count >= 2 else { return nil }
        let length = Int(bytes[1] & 0x7f)
        guard bytes.count >= 2 + length else { return nil }
        return (bytes[0] & 0x0f, Array(bytes[2..<(2 + length)]), Array(bytes[(2 + length)...]))
    }
}
