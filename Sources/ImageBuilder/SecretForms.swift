import FoundationEssentials

/// The ways in which a secret is likely to be written into a file.
enum SecretForms {
    /// Raw, without line ends around it, base64 at each of the three alignments, percent-encoded, and as JSON writes it.
    static func forms(of secret: String) -> [String] {
        let bytes = Array(secret.utf8)
        var forms = [secret, secret.trimmingPrefix { $0.isNewline }.description]
        if let last = secret.lastIndex(where: { !$0.isNewline }) { forms.append(String(secret[...last])) }
        for skipped in 0..<3 {
            let text = Data([UInt8](repeating: 0, count: skipped) + bytes).base64EncodedString()
            // The characters that also depend on what stands before or behind.
            let head = [0, 2, 3][skipped]
            let tail = [0, 3, 2][(skipped + bytes.count) % 3]
            forms.append(String(text.dropFirst(head).dropLast(tail)))
        }
        let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
        let query = plain.union("!$&'()*+,;=:@/?".utf8)
        for kept in [plain, query, plain.subtracting("-._~".utf8)] { forms.append(percentEncoded(bytes, kept)) }
        for slashes in [JSONEncoder.OutputFormatting(), .withoutEscapingSlashes] {
            let encoder = JSONEncoder()
            encoder.outputFormatting = slashes
            if let text = try? encoder.encode([secret]) { forms.append(String(decoding: text.dropFirst(2).dropLast(2), as: UTF8.self)) }
        }
        return Array(Set(forms))
    }

    private static func percentEncoded(_ bytes: [UInt8], _ kept: Set<UInt8>) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            if kept.contains(byte) { text.append(byte) } else { text += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
