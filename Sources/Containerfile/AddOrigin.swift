/// What an expanded source of ADD names.
public enum AddOrigin: Sendable, Hashable {
    /// A path or pattern in the build context.
    case local(String)
    /// A file to fetch; the name is what it is called in a folder, nil when the URL has none.
    case http(url: String, fileName: String?)
    case git(GitOrigin)

    /// Reads a source: git when it is `git://`, `ssh://`, `user@host:path`, or http(s) with a path that ends in `.git`.
    public init(parsing text: String) throws(InvalidValue) {
        if let scheme = Self.scheme(of: text) {
            let (address, query, fragment) = Self.parts(of: text)
            let path = address.dropFirst(scheme.count + 3).drop { $0 != "/" }
            switch scheme.lowercased() {
            case "http", "https":
                guard path.hasSuffix(".git") else {
                    let name = PercentEncoding.decoded(String(path)).split(separator: "/").last.map(String.init) ?? ""
                    let isName = !name.isEmpty && name != "." && name != ".." && !name.contains("\0")
                    self = .http(url: text, fileName: isName ? name : nil)
                    return
                }
                self = .git(try GitOrigin(remote: String(address), query: query, fragment: fragment))
            case "git", "ssh": self = .git(try GitOrigin(remote: String(address), query: query, fragment: fragment))
            default:
                throw InvalidValue(
                    "ADD does not fetch from \(SourceText.quoted(scheme + "://"))", hint: "use https://, git:// or ssh://, or a path")
            }
        } else if Self.isSCPStyle(text) {
            let (address, query, fragment) = Self.parts(of: text)
            self = .git(try GitOrigin(remote: String(address), query: query, fragment: fragment))
        } else {
            self = .local(text)
        }
    }

    private static func scheme(of text: String) -> String? {
        guard let range = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<range.lowerBound]
        guard !scheme.isEmpty, scheme.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) else { return nil }
        return String(scheme)
    }

    /// `user@host:path`
    private static func isSCPStyle(_ text: String) -> Bool {
        guard let at = text.firstIndex(of: "@"), let colon = text[at...].firstIndex(of: ":") else { return false }
        let user = text[..<at], host = text[text.index(after: at)..<colon]
        func isName(_ character: Character) -> Bool {
            character.isASCII && (character.isLetter || character.isNumber || character == "-" || character == "_")
        }
        return !user.isEmpty && user.allSatisfy(isName) && !host.isEmpty && host.allSatisfy { isName($0) || $0 == "." }
    }

    private static func parts(of text: String) -> (address: Substring, query: Substring?, fragment: Substring?) {
        var address = text[...]
        var query: Substring?, fragment: Substring?
        if let hash = address.firstIndex(of: "#") {
            fragment = address[address.index(after: hash)...]
            address = address[..<hash]
        }
        if let mark = address.firstIndex(of: "?") {
            query = address[address.index(after: mark)...]
            address = address[..<mark]
        }
        return (address, query, fragment)
    }
}

/// A git repository as a source: `remote[?query][#ref[:folder]]`.
public struct GitOrigin: Sendable, Hashable {
    /// What git clones, without query and fragment.
    public var remote: String
    /// A branch, a tag or a commit; nil: the default branch.
    public var reference: String?
    /// The folder that is copied; nil: all of the repository.
    public var folder: String?
    /// A commit, or the beginning of one, that the reference must be.
    public var checksum: String?
    /// nil: as the flag says, or no.
    public var keepsGitDirectory: Bool?
    /// nil: yes.
    public var includesSubmodules: Bool?

    init(remote: String, query: Substring?, fragment: Substring?) throws(InvalidValue) {
        self.remote = remote
        if let fragment {
            let parts = fragment.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            reference = parts[0].isEmpty ? nil : String(parts[0])
            if parts.count == 2 { folder = try Self.folder(parts[1]) }
        }
        var keys: Set<Substring> = []
        for pair in (query ?? "").split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? PercentEncoding.decoded(String(parts[1])) : ""
            guard keys.insert(parts[0]).inserted else {
                throw InvalidValue("'\(parts[0])' is given twice in the query", hint: "keep one of them")
            }
            try set(String(parts[0]), value)
        }
        guard reference?.hasPrefix("-") != true, !remote.hasPrefix("-") else {
            throw InvalidValue("a git reference does not begin with '-'", hint: "name a branch, a tag or a commit")
        }
    }

    private mutating func set(_ key: String, _ value: String) throws(InvalidValue) {
        func truth() throws(InvalidValue) -> Bool {
            switch value {
            case "", "1", "t", "T", "true", "TRUE", "True": return true
            case "0", "f", "F", "false", "FALSE", "False": return false
            default: throw InvalidValue("'\(key)' is true or false", hint: "write \(key)=true")
            }
        }
        func refer(to name: String) throws(InvalidValue) {
            guard reference == nil || reference == name else {
                throw InvalidValue("the source names two references", hint: "give one of ref, tag, branch or #ref")
            }
            reference = name
        }
        guard !value.isEmpty || ["keep-git-dir", "submodules"].contains(key) else {
            throw InvalidValue("\(SourceText.quoted(key)) has no value in the query", hint: "write \(key)=…")
        }
        switch key {
        case "ref": try refer(to: value)
        case "tag": try refer(to: value.hasPrefix("refs/tags/") ? value : "refs/tags/\(value)")
        case "branch": try refer(to: value.hasPrefix("refs/heads/") ? value : "refs/heads/\(value)")
        case "subdir": folder = try Self.folder(value[...])
        case "checksum", "commit": checksum = value
        case "keep-git-dir": keepsGitDirectory = try truth()
        case "submodules": includesSubmodules = try truth()
        default:
            throw InvalidValue(
                "\(SourceText.quoted(key)) in a git source is not supported",
                hint: "known are ref, tag, branch, subdir, checksum, keep-git-dir, submodules")
        }
    }

    /// Relative, without `..`.
    private static func folder(_ text: Substring) throws(InvalidValue) -> String? {
        let components = text.split(separator: "/").filter { $0 != "." }
        guard !components.contains("..") else {
            throw InvalidValue("the folder \(SourceText.quoted(text)) leaves the repository", hint: "name a folder inside it")
        }
        return components.isEmpty ? nil : components.joined(separator: "/")
    }
}

enum PercentEncoding {
    /// `%41` becomes `A`; text that is not well encoded stays as it is.
    static func decoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.allSatisfy({ Unicode.Scalar($0).properties.isASCIIHexDigit }),
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            else { return text }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self) ?? text
    }
}
