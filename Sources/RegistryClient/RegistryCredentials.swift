/// How to log in to a registry. Its description never shows the secret.
public enum RegistryCredentials: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    /// User and password: sent as Basic, or handed to the registry's token service.
    case basic(user: String, password: String)
    /// A ready token, sent with every request to the registry itself.
    case bearer(String)
    /// A refresh token, exchanged at the registry's token service (OAuth 2).
    case identityToken(String)

    public var description: String {
        switch self {
        case .basic(let user, _): "user \(user)"
        case .bearer: "a token"
        case .identityToken: "an identity token"
        }
    }

    public var debugDescription: String { description }
}
