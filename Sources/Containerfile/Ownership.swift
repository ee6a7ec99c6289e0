/// The value of `--chown`, and of USER: `user[:group]`, names or numbers.
public struct Ownership: Sendable, Hashable {
    public enum Identity: Sendable, Hashable {
        case id(UInt32)
        /// To be looked up in the image's `/etc/passwd` or `/etc/group`.
        case name(String)
    }

    public let user: Identity
    /// nil: for `--chown` the group with the user's number, for USER the user's own group.
    public let group: Identity?

    public init(parsing text: String) throws(InvalidValue) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        user = try Self.identity(parts[0], in: text)
        group = parts.count == 2 ? try Self.identity(parts[1], in: text) : nil
    }

    private static func identity(_ part: Substring, in text: String) throws(InvalidValue) -> Identity {
        let isBad = part.unicodeScalars.contains { $0.properties.isWhitespace || $0 == ":" || $0 == "/" || $0.value < 0x20 }
        guard !part.isEmpty, !isBad else {
            throw InvalidValue("\(SourceText.quoted(text)) is no owner", hint: "write user, user:group, or numbers as in 1000:1000")
        }
        guard part.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return .name(String(part)) }
        guard let id = UInt32(part), id < .max else {
            throw InvalidValue("\(SourceText.quoted(part)) is no user or group number", hint: "use a number below 4294967295")
        }
        return .id(id)
    }
}
