import FoundationEssentials
import Synchronization

/// What a request needs to be allowed to do, as token scopes: `repository:<name>:pull,push`.
struct Scope: Sendable, Hashable {
    let resources: [String]

    static func pull(_ repository: String) -> Scope { Scope(resources: ["repository:\(repository):pull"]) }

    static func push(_ repository: String, mounting source: String? = nil) -> Scope {
        Scope(resources: ["repository:\(repository):pull,push"] + (source.map { ["repository:\($0):pull"] } ?? []))
    }
}

/// A `WWW-Authenticate` challenge (RFC 9110, section 11.6.1).
enum Challenge: Sendable, Equatable {
    case basic
    /// Fetch a token at `realm` (distribution's token authentication specification).
    case bearer(realm: String, service: String?)

    /// The first challenge we can answer; Bearer before Basic.
    init?(_ headers: [String]) {
        var sawBasic = false
        for header in headers {
            let scheme = header.prefix { $0 != " " }.lowercased()
            if scheme == "basic" { sawBasic = true }
            guard scheme == "bearer" else { continue }
            let fields = Self.parameters(header.dropFirst(scheme.count))
            guard let realm = fields["realm"] else { continue }
            self = .bearer(realm: realm, service: fields["service"])
            return
        }
        guard sawBasic else { return nil }
        self = .basic
    }

    /// `key="value with, commas",key=token`
    private static func parameters(_ text: Substring) -> [String: String] {
        var fields: [String: String] = [:]
        var rest = text
        while true {
            rest = rest.drop { $0 == " " || $0 == "," }
            let key = rest.prefix { $0 != "=" && $0 != "," }
            rest = rest.dropFirst(key.count)
            guard rest.first == "=" else { return fields }
            rest = rest.dropFirst()
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                while let character = rest.popFirst(), character != "\"" {
                    if character == "\\", let escaped = rest.popFirst() { value.append(escaped) } else { value.append(character) }
                }
            } else {
                value = String(rest.prefix { $0 != "," && $0 != " " })
                rest = rest.dropFirst(value.count)
            }
            fields[key.lowercased()] = value
        }
    }
}

/// Remembers how the registry wants to be talked to, and the tokens it gave out.
final class Authenticator: Sendable {
    private struct Token {
        let value: String
        let expires: ContinuousClock.Instant
    }

    private struct State {
        var challenge: Challenge?
        var tokens: [Scope: Token] = [:]
    }

    let credentials: RegistryCredentials?
    private let state = Mutex(State())

    init(credentials: RegistryCredentials?) { self.credentials = credentials }

    enum Plan {
        /// Send this header value; nil: none is needed or known.
        case header(String?)
        case fetchToken(realm: String, service: String?)
    }

    /// What to send with a request.
    func plan(for scope: Scope) -> Plan {
        if case .bearer(let token) = credentials { return .header("Bearer \(token)") }
        return state.withLock { state in
            switch state.challenge {
            case nil: return .header(nil)
            case .basic: return .header(basicHeader)
            case .bearer(let realm, let service):
                if let token = state.tokens[scope], token.expires > .now { return .header("Bearer \(token.value)") }
                return .fetchToken(realm: realm, service: service)
            }
        }
    }

    /// Takes note of a refusal; a refused token is forgotten. False when nothing is left to try.
    func learn(_ challenge: Challenge, scope: Scope, sent: String?) -> Bool {
        if case .bearer = credentials { return false }
        return state.withLock { state in
            state.challenge = challenge
            switch challenge {
            case .basic: return basicHeader != nil && sent != basicHeader
            case .bearer:
                if let token = state.tokens[scope], sent == "Bearer \(token.value)" { state.tokens[scope] = nil }
                return true
            }
        }
    }

    func keep(_ token: String, for scope: Scope, lifetime: Duration) {
        state.withLock { $0.tokens[scope] = Token(value: token, expires: .now + lifetime) }
    }

    var basicHeader: String? {
        guard case .basic(let user, let password) = credentials else { return nil }
        return "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
    }
}

/// The answer of a token service.
struct TokenResponse: Decodable {
    let token: String?
    let accessToken: String?
    let expiresIn: Int?

    enum CodingKeys: String, CodingKey {
        case token
        case accessToken = "access_token"
        case expiresIn = "expires_in"
    }

    /// Some seconds less than promised, so that a token does not expire on its way.
    var lifetime: Duration { .seconds(max(15, min(expiresIn ?? 60, 3600)) - 10) }
}
