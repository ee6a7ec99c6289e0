/// Which repositories a rule is about: a repository name in which `*` stands for any characters of one component and
/// `**` for any components. `*` and `**` alone mean every repository.
public struct RepositoryPattern: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    private let components: [Substring]

    public static let everything = RepositoryPattern(unchecked: "**")

    public init(parsing text: String) throws(OCIError) {
        let components = text.split(separator: "/", omittingEmptySubsequences: false)
        let allowed = { (byte: UInt8) in
            (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte == 0x2e || byte == 0x5f || byte == 0x2d || byte == 0x2a
        }
        guard text.utf8.count <= 255, components.count <= 32,
            components.allSatisfy({ part in
                !part.isEmpty && part.utf8.allSatisfy(allowed) && (part == "**" || !part.contains("**"))
            })
        else {
            throw OCIError(
                .invalidRepository, "'\(text.prefix(100))' is not a pattern of repository names",
                hint: "write a name, with '*' for one part of it or '**' for several, as in shop/* or team/**")
        }
        self.init(unchecked: text)
    }

    private init(unchecked text: String) {
        self.text = text
        components = (text == "*" ? "**" : text).split(separator: "/")
    }

    public func matches(_ repository: RepositoryName) -> Bool {
        Self.match(components[...], repository.rawValue.split(separator: "/")[...])
    }

    public var description: String { text }

    private static func match(_ pattern: ArraySlice<Substring>, _ name: ArraySlice<Substring>) -> Bool {
        guard let first = pattern.first else { return name.isEmpty }
        let rest = pattern.dropFirst()
        if first == "**" {
            if rest.isEmpty { return true }
            return (0...name.count).contains { match(rest, name.dropFirst($0)) }
        }
        guard let component = name.first else { return false }
        return match(Array(first.utf8)[...], Array(component.utf8)[...]) && match(rest, name.dropFirst())
    }

    /// One component, by remembering the last star: linear for every pattern.
    private static func match(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        var (here, there) = (pattern.startIndex, text.startIndex)
        var star: (pattern: Int, text: Int)?
        while there < text.endIndex {
            if here < pattern.endIndex, pattern[here] == 0x2a {
                star = (here, there)
                here += 1
            } else if here < pattern.endIndex, pattern[here] == text[there] {
                here += 1
                there += 1
            } else if let last = star {
                here = last.pattern + 1
                there = last.text + 1
                star = (last.pattern, there)
            } else {
                return false
            }
        }
        return pattern[here...].allSatisfy { $0 == 0x2a }
    }
}

extension RepositoryPattern: Codable {
    public init(from decoder: any Decoder) throws {
        try self.init(parsing: decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
