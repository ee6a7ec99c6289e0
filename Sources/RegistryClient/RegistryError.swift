/// Why talking to a registry failed. The message names the registry and what was asked of it; secrets never
/// appear in it.
public struct RegistryError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable {
        /// No or wrong credentials (401, or the token service refused).
        case unauthorized
        /// The credentials are known but not enough (403).
        case denied
        /// The registry, or the local store when pushing, does not have it.
        case notFound
        /// The registry asked for patience for longer than we wait (429).
        case rateLimited
        /// No connection, a broken one, or a server failure, also after all retries.
        case unreachable
        /// The registry refused the content (another 4xx).
        case rejected
        /// Content does not hash to its digest.
        case digestMismatch
        /// Content is shorter or longer than its descriptor says, or above a limit.
        case sizeMismatch
        /// An answer that does not follow the distribution-spec.
        case invalidResponse
        /// A document of a kind this client does not read.
        case unsupported
        /// A file on this machine cannot be read or written.
        case fileSystem
        /// The registry pointed to an address that only this machine or its network can reach.
        case addressRefused
        /// A setting of a registry or a proxy that cannot be used.
        case invalidSettings
        /// A credentials file or credential helper that cannot be used.
        case invalidCredentials
    }

    public let code: Code
    public let message: String
    /// What the user can do about it.
    public let hint: String
    /// The HTTP status, when the registry answered.
    public let status: Int?

    public init(_ code: Code, _ message: String, hint: String, status: Int? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
        self.status = status
    }

    public var description: String { hint.isEmpty ? message : "\(message) (\(hint))" }
}
