/// A repository name (OCI distribution-spec, "Pulling manifests": `<name>`), at most 255 characters.
public struct RepositoryName: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: String

    public init(parsing text: String) throws(OCIError) {
        let components = text.split(separator: "/", omittingEmptySubsequences: false)
        guard text.utf8.count <= 255, !components.isEmpty, components.allSatisfy(Self.isComponent) else {
            throw OCIError(
                .invalidRepository, "'\(text.prefix(100))' is not a repository name",
                hint: "use lower-case letters, digits, '.', '_', '-' and '/', as in shop/gtin")
        }
        self.rawValue = text
    }

    public var description: String { rawValue }

    public static func < (left: RepositoryName, right: RepositoryName) -> Bool { left.rawValue < right.rawValue }

    /// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
    private static func isComponent(_ component: Substring) -> Bool {
        let bytes = Array(component.utf8)
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39)
        }
        guard let first = bytes.first, let last = bytes.last, isAlphanumeric(first), isAlphanumeric(last) else {
            return false
        }
        var separator: [UInt8] = []
        for byte in bytes {
            if isAlphanumeric(byte) {
                let allowed =
                    separator.isEmpty || separator == [0x2e] || separator == [0x5f] || separator == [0x5f, 0x5f]
                    || separator.allSatisfy { $0 == 0x2d }
                if !allowed { return false }
                separator = []
            } else if byte == 0x2e || byte == 0x5f || byte == 0x2d {
                separator.append(byte)
            } else {
                return false
            }
        }
        return true
    }
}

/// A tag (OCI distribution-spec: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`).
public struct Tag: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: String

    public init(parsing text: String) throws(OCIError) {
        func isWord(_ byte: UInt8) -> Bool {
            (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x30 && byte <= 0x39)
                || byte == 0x5f
        }
        guard let first = text.utf8.first, text.utf8.count <= 128, isWord(first),
            text.utf8.allSatisfy({ isWord($0) || $0 == 0x2e || $0 == 0x2d })
        else {
            throw OCIError(
                .invalidTag, "'\(text.prefix(140))' is not a tag",
                hint: "use letters, digits, '_', '.', '-', at most 128, not beginning with '.' or '-'")
        }
        self.rawValue = text
    }

    public var description: String { rawValue }

    public static func < (left: Tag, right: Tag) -> Bool { left.rawValue < right.rawValue }
}

/// Where an image is: `[registry/]repository[:tag][@digest]`.
public struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// `host[:port]`; nil means the embedded registry.
    public let registry: String?
    public let repository: RepositoryName
    public let tag: Tag?
    public let digest: Digest?

    public init(registry: String?, repository: RepositoryName, tag: Tag?, digest: Digest?) {
        self.registry = registry
        self.repository = repository
        self.tag = tag
        self.digest = digest
    }

    /// Parses a reference. The first component is a registry when it holds a '.' or a ':' or is `localhost`.
    public init(parsing text: String) throws(OCIError) {
        var rest = Substring(text)
        var digest: Digest?
        if let at = rest.firstIndex(of: "@") {
            digest = try Digest(parsing: String(rest[rest.index(after: at)...]))
            rest = rest[..<at]
        }
        var registry: String?
        if let slash = rest.firstIndex(of: "/") {
            let head = rest[..<slash]
            if head == "localhost" || head.contains(".") || head.contains(":") {
                guard Self.isHost(head) else {
                    throw OCIError(
                        .invalidReference, "'\(head)' is not a registry host",
                        hint: "write host or host:port, as in registry.example.com:5000/shop/gtin")
                }
                registry = String(head)
                rest = rest[rest.index(after: slash)...]
            }
        }
        var tag: Tag?
        if let colon = rest.lastIndex(of: ":") {
            tag = try Tag(parsing: String(rest[rest.index(after: colon)...]))
            rest = rest[..<colon]
        }
        guard !rest.isEmpty else {
            throw OCIError(
                .invalidReference, "'\(text.prefix(100))' names no repository",
                hint: "write [registry/]repository[:tag][@digest]")
        }
        self.init(
            registry: registry, repository: try RepositoryName(parsing: String(rest)), tag: tag, digest: digest)
    }

    public var description: String {
        (registry.map { "\($0)/" } ?? "") + repository.rawValue + (tag.map { ":\($0)" } ?? "")
            + (digest.map { "@\($0)" } ?? "")
    }

    private static func isHost(_ text: Substring) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, !parts[0].isEmpty,
            parts[0].utf8.allSatisfy({
                ($0 >= 0x61 && $0 <= 0x7a) || ($0 >= 0x41 && $0 <= 0x5a) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2e
                    || $0 == 0x2d
            })
        else { return false }
        if parts.count == 2 { return UInt16(parts[1]).map { $0 > 0 } ?? false }
        return true
    }
}

/// A value that is written as one string in JSON.
private func decodeString<T>(_ decoder: any Decoder, _ parse: (String) throws -> T) throws -> T {
    try parse(decoder.singleValueContainer().decode(String.self))
}

private func encodeString(_ text: String, _ encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
}

extension RepositoryName: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeString(decoder) { try Self(parsing: $0) } }
    public func encode(to encoder: any Encoder) throws { try encodeString(rawValue, encoder) }
}

extension Tag: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeString(decoder) { try Self(parsing: $0) } }
    public func encode(to encoder: any Encoder) throws { try encodeString(rawValue, encoder) }
}

extension ImageReference: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeString(decoder) { try Self(parsing: $0) } }
    public func encode(to encoder: any Encoder) throws { try encodeString(description, encoder) }
}
