import FoundationEssentials
import Synchronization

/// Remembers how the registry wants to be talked to, who we are there, and the tokens it gave out.
final class Authenticator: Sendable {
    /// Looks up who we are; asked once, when the registry wants to know.
    typealias Lookup = @Sendable () async throws -> RegistryCredentials?

    private struct Token {
        let value: String
        let expires: ContinuousClock.Instant
    }

    private struct State {
        var challenge: Challenge?
        var tokens: [Scope: Token] = [:]
        var login: RegistryCredentials?
        var isLookedUp: Bool
    }

    private let lookup: Lookup
    private let state: Mutex<State>

    init(credentials: RegistryCredentials?, lookup: Lookup?) {
        self.lookup = lookup ?? { nil }
        state = Mutex(State(login: credentials, isLookedUp: credentials != nil || lookup == nil))
    }

    enum Plan {
        /// Send this header value; nil: none is needed or known.
        case header(String?)
        case fetchToken(realm: String, service: String?)
    }

    /// Who we are, as far as it was asked for yet.
    var login: RegistryCredentials? { state.withLock { $0.login } }

    /// What to send with a request.
    func plan(for scope: Scope) -> Plan {
        state.withLock { state in
            if case .bearer(let token) = state.login { return .header("Bearer \(token)") }
            switch state.challenge {
            case nil: return .header(nil)
            case .basic: return .header(Self.basicHeader(state.login))
            case .bearer(let realm, let service):
                if let token = state.tokens[scope], token.expires > .now { return .header("Bearer \(token.value)") }
                return .fetchToken(realm: realm, service: service)
            }
        }
    }

    /// Takes note of a refusal; a refused token is forgotten. False when nothing is left to try.
    func learn(_ challenge: Challenge, scope: Scope, sent: String?) async throws -> Bool {
        if !state.withLock({ $0.isLookedUp }) {
            // Two requests at once may both ask: the same answer, twice.
            let found = try await lookup()
            state.withLock { ($0.login, $0.isLookedUp) = (found, true) }
        }
        return state.withLock { state in
            state.challenge = challenge
            if case .bearer(let token) = state.login { return sent != "Bearer \(token)" }
            switch challenge {
            case .basic:
                let header = Self.basicHeader(state.login)
                return header != nil && sent != header
            case .bearer:
                if let token = state.tokens[scope], sent == "Bearer \(token.value)" { state.tokens[scope] = nil }
                return true
            }
        }
    }

    func keep(_ token: String, for scope: Scope, lifetime: Duration) {
        state.withLock { state in
            state.tokens[scope] = Token(value: token, expires: .now + lifetime)
        }
    }

    /// A token service may replace a refresh token when it is used.
    func replace(identityToken token: String) {
        state.withLock { $0.login = .identityToken(token) }
    }

    static func basicHeader(_ login: RegistryCredentials?) -> String? {
        guard case .basic(let user, let password) = login else { return nil }
        return "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
    }
}

/// The answer of a token service.
struct TokenResponse: Decodable {
    let token: String?
    let accessToken: String?
    let expiresIn: Int?
    let refreshToken: String?

    enum CodingKeys: String, CodingKey {
        case token
        case accessToken = "access_token"
        case expiresIn = "expires_in"
        case refreshToken = "refresh_token"
    }

    /// Some seconds less than promised, so that a token does not expire on its way.
    var lifetime: Duration { .seconds(max(15, min(expiresIn ?? 60, 3600)) - 10) }
}
