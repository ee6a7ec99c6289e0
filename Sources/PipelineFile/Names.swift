/// The shapes of names.
enum Names {
    /// A DNS label: step, stage and target names end up in container and host names.
    static func isLabel(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...63).contains(bytes.count), bytes.first != 0x2d, bytes.last != 0x2d else { return false }
        return bytes.allSatisfy { isLower($0) || isDigit($0) || $0 == 0x2d }
    }

    /// A label made from something that is not one.
    static func label(from text: String) -> String {
        let mapped = text.lowercased().unicodeScalars.prefix(63).map { scalar -> Character in
            let byte = UInt8(ascii: scalar.isASCII ? scalar : "-")
            return isLower(byte) || isDigit(byte) ? Character(scalar) : "-"
        }
        let trimmed = String(mapped).drop { $0 == "-" }
        return String(trimmed.reversed().drop { $0 == "-" }.reversed())
    }

    /// `[A-Za-z0-9][A-Za-z0-9._-]*`, at most 63.
    static func isPipeline(_ text: String) -> Bool {
        guard (1...63).contains(text.utf8.count), let first = text.utf8.first, isWord(first), first != 0x5f else {
            return false
        }
        return text.utf8.allSatisfy { isWord($0) || $0 == 0x2d || $0 == 0x2e }
    }

    /// `[A-Za-z_][A-Za-z0-9_]*`, at most 128.
    static func isVariable(_ text: String) -> Bool {
        guard (1...128).contains(text.utf8.count), let first = text.utf8.first, !isDigit(first) else { return false }
        return text.utf8.allSatisfy { isWord($0) }
    }

    /// `[A-Za-z_][A-Za-z0-9_-]*`, at most 128.
    static func isSecret(_ text: String) -> Bool {
        guard (1...128).contains(text.utf8.count), let first = text.utf8.first, !isDigit(first), first != 0x2d else {
            return false
        }
        return text.utf8.allSatisfy { isWord($0) || $0 == 0x2d }
    }

    /// A host name (RFC 1123), lower case, without port.
    static func isHost(_ text: String) -> Bool {
        guard text.utf8.count <= 253 else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isLabel(String($0)) }
    }

    /// A user, or `group:name`, `user:name`.
    static func isApprover(_ text: String) -> Bool {
        var name = Substring(text)
        for prefix in ["group:", "user:"] where name.hasPrefix(prefix) {
            name = name.dropFirst(prefix.count)
            break
        }
        guard (1...128).contains(name.utf8.count), let first = name.utf8.first, isWord(first) else { return false }
        return name.utf8.allSatisfy { isWord($0) || $0 == 0x2d || $0 == 0x2e || $0 == 0x40 }
    }

    /// `user`, `1000`, `user:group`, `1000:1000`.
    static func isUser(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count <= 2
            && parts.allSatisfy { part in
                (1...32).contains(part.utf8.count) && part.utf8.first != 0x2d
                    && part.utf8.allSatisfy { isWord($0) || $0 == 0x2d || $0 == 0x2e }
            }
    }

    private static func isLower(_ byte: UInt8) -> Bool { byte >= 0x61 && byte <= 0x7a }
    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
    private static func isWord(_ byte: UInt8) -> Bool {
        isLower(byte) || isDigit(byte) || (byte >= 0x41 && byte <= 0x5a) || byte == 0x5f
    }
}
