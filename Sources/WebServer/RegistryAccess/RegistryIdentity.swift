import FoundationEssentials
import Hummingbird
import OCIModel
import RegistryServer
import StateStore

/// Who talks to the registry.
enum RegistryIdentity: Sendable {
    case administrator
    case token(AccessToken)
    case anonymous

    /// Names the identity in a grant; of a token also its hash, so that another one of the same name is another identity.
    var subject: String {
        switch self {
        case .administrator: "admin"
        case .token(let token): "token:\(token.hash)"
        case .anonymous: "anonymous"
        }
    }
}

/// Finds out who sends a request and what they may do. Rights are looked up for every request: revoking a token works at
/// once, also for grants that were made with it.
struct RegistryIdentities: Sendable {
    let access: Access
    let store: any StateStore
    let anonymousPull: Bool
    let clock: @Sendable () -> Double

    /// The identity of a password: the administrator's token or an access token. Nil: neither, or expired.
    func identity(ofSecret secret: String) async throws -> RegistryIdentity? {
        if access.isToken(secret) { return .administrator }
        return try await token(hash: AccessToken.hash(of: secret))
    }

    func identity(ofSubject subject: String) async throws -> RegistryIdentity? {
        switch subject {
        case RegistryIdentity.administrator.subject: return .administrator
        case RegistryIdentity.anonymous.subject: return .anonymous
        default:
            guard subject.hasPrefix("token:") else { return nil }
            return try await token(hash: String(subject.dropFirst("token:".count)))
        }
    }

    private func token(hash: String) async throws -> RegistryIdentity? {
        guard let token = try await store.token(hash: hash), !token.isExpired(at: clock()) else { return nil }
        return .token(token)
    }

    func may(_ identity: RegistryIdentity, _ action: RegistryAction, _ repository: RepositoryName) -> Bool {
        switch (identity, action) {
        case (.administrator, _): true
        case (.token(let token), .pull): token.mayPull(repository) || anonymousPull
        case (.token(let token), .push): token.mayPush(repository)
        case (.anonymous, .pull): anonymousPull
        case (.anonymous, .push): false
        }
    }

    /// User and password of an `Authorization: Basic` header (RFC 7617).
    static func password(inBasic header: String) -> String? {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "basic", let data = Data(base64Encoded: String(parts[1])) else { return nil }
        let pair = String(decoding: data, as: UTF8.self).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        return pair.count == 2 ? String(pair[1]) : nil
    }
}
