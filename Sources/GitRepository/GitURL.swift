import Glibc
import SystemPackage

/// What may be fetched from: a local path, `file://`, `git://`, `http://`, `https://`, `ssh://` or `user@host:path`.
public struct GitURL: Sendable, CustomStringConvertible {
    enum Kind: Sendable { case path, file, git, http, ssh }

    let raw: String
    let kind: Kind

    /// Refuses what is none of the forms above. Does not look at the network; a local path must exist.
    public init(parsing text: String) throws(GitError) {
        let shown = GitURL.redacted(text)
        guard !text.isEmpty, text.utf8.count <= 4096, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }), text.utf8.first != UInt8(ascii: "-")
        else {
            throw GitError(.invalid, "'\(shown.prefix(200))' is not a repository URL", hint: GitURL.accepted)
        }
        raw = text
        if let scheme = GitURL.scheme(of: text) {
            switch scheme.lowercased() {
            case "file": kind = .file
            case "git": kind = .git
            case "http", "https": kind = .http
            case "ssh", "git+ssh", "ssh+git": kind = .ssh
            default:
                throw GitError(.unsupported, "the scheme '\(scheme)' of '\(shown)' is not supported", hint: GitURL.accepted)
            }
        } else if text.hasPrefix("/") || text.hasPrefix("./") || text.hasPrefix("../") {
            kind = .path
        } else if let colon = text.firstIndex(of: ":"), colon != text.startIndex, !text[..<colon].contains("/"),
            text.index(after: colon) != text.endIndex
        {
            kind = .ssh
        } else {
            throw GitError(.invalid, "'\(shown)' is not a repository URL", hint: GitURL.accepted)
        }
        if kind == .path, access(text, F_OK) != 0 {
            throw GitError(.notFound, "the folder '\(text)' cannot be opened: \(Errno(rawValue: errno))", hint: "give the path of a git repository")
        }
    }

    static let accepted = "use /path, file://, https://, http://, git://, ssh:// or user@host:path"

    public var description: String { GitURL.redacted(raw) }

    /// The text with the user and password of every URL in it replaced by `***`. The user of an `ssh` URL stays when no password
    /// follows it. Where a malformed URL leaves it open how far the password reaches, more is hidden rather than less.
    public static func redacted(_ text: String) -> String {
        guard let mark = text.firstRange(of: "://") else { return text }
        let rest = text[mark.upperBound...]
        let end = rest.firstIndex(where: { $0.isWhitespace || $0 == "'" || $0 == "\"" || $0 == ">" }) ?? rest.endIndex
        var token = rest[..<end]
        let authority = token.prefix(while: { $0 != "/" && $0 != "?" && $0 != "#" })
        let port = authority.firstIndex(of: ":").map { authority[authority.index(after: $0)...] }
        let oddPort = port.map { !$0.allSatisfy(\.isNumber) } ?? false
        var head = String(text[..<mark.upperBound])
        if authority.contains("@") || oddPort, let at = token.lastIndex(of: "@") {
            let userInfo = token[..<at]
            let keepUser = head.hasSuffix("ssh://") && !userInfo.contains(":") && !userInfo.contains("/")
            head += keepUser ? userInfo : "***"
            token = token[at...]
        }
        return head + token + redacted(String(rest[end...]))
    }

    private static func scheme(of text: String) -> Substring? {
        text.firstRange(of: "://").map { text[..<$0.lowerBound] }.flatMap {
            $0.allSatisfy { $0.isLetter || $0.isNumber || "+-.".contains($0) } ? $0 : nil
        }
    }
}
