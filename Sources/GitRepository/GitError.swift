/// A git operation that did not succeed. A cancelled operation throws `CancellationError` instead.
public struct GitError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure it is; callers switch on this, never on the message.
    public enum Code: String, Sendable {
        /// The commit, branch, tag, repository or folder does not exist.
        case notFound
        /// A short id names more than one object.
        case ambiguous
        /// The text is not a commit id, revision, path or URL.
        case invalid
        /// The folder or server answers, but not with a git repository.
        case notARepository
        /// The server asks for credentials and none that it accepts were given.
        case authenticationRequired
        /// The server refused the credentials.
        case authenticationFailed
        /// The server's certificate or host key is not trusted.
        case untrustedServer
        /// The server cannot be reached, or the connection broke.
        case unreachable
        /// The URL scheme or the repository format is not supported.
        case unsupported
        /// The commit contains something that must not reach a workspace.
        case refused
        /// A file or commit is larger than the limit.
        case tooLarge
        /// Another process holds a lock.
        case locked
        /// Objects are damaged or missing.
        case corrupt
        /// The local file system refused.
        case fileSystem
        /// Anything else libgit2 reports.
        case failed
    }

    public let code: Code
    /// What happened, with the name concerned. Never contains credentials.
    public let message: String
    /// What a user can do about it; empty when there is nothing sensible to say.
    public let hint: String

    public init(_ code: Code, _ message: String, hint: String = "") {
        self.code = code
        self.message = message
        self.hint = hint
    }

    public var description: String { hint.isEmpty ? message : "\(message) (\(hint))" }
}
