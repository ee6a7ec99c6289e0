import Crypto
public import DeliveryModel
import FoundationEssentials
import Hummingbird
import OCIModel
import PipelineEngine
public import StateStore

/// Who sends a request.
struct Caller: Hashable, Sendable {
    var name: String
    var role: Role
}

/// Who may do what. One administrator's token is made at the first start; people have tokens of their own. Browsers exchange either
/// for a signed cookie.
public struct Access: Sendable {
    static let cookie = "slipway_session"
    static let sessionSeconds = 12.0 * 3600
    static let administrator = PipelineEngine.administrator

    private let tokenHash: SHA256Digest
    private let key: SymmetricKey
    private let readersNeedToken: Bool
    private let people: People
    private let personalToken: @Sendable (_ hash: String) async throws -> AccessToken?
    let clock: @Sendable () -> Double

    /// - Parameters:
    ///   - readersNeedToken: false lets everybody who reaches the port read pages and pull images.
    ///   - people: whose tokens count; who is not among them has lost every right at once.
    ///   - personalToken: the token with a hash, as it is kept now.
    ///   - clock: seconds since 1970.
    public init(
        token: String, readersNeedToken: Bool, people: People, personalToken: @escaping @Sendable (_ hash: String) async throws -> AccessToken?,
        clock: @escaping @Sendable () -> Double
    ) {
        tokenHash = SHA256.hash(data: Array(token.utf8))
        key = SymmetricKey(data: SHA256.hash(data: Array("slipway session key\n\(token)".utf8)))
        self.readersNeedToken = readersNeedToken
        self.people = people
        self.personalToken = personalToken
        self.clock = clock
    }

    func isToken(_ text: String) -> Bool {
        // Digests are compared in constant time.
        SHA256.hash(data: Array(text.utf8)) == tokenHash
    }

    /// Whose token it is: the administrator's, or a person's; nil for any other.
    func caller(ofToken text: String) async throws -> Caller? {
        if isToken(text) { return Caller(name: Self.administrator, role: .admin) }
        return try await caller(ofHash: AccessToken.hash(of: text))
    }

    private func caller(ofHash hash: String) async throws -> Caller? {
        guard let token = try await personalToken(hash), let name = token.person, let role = token.role, !token.isExpired(at: clock()),
            people.isKnown(name), name != Self.administrator
        else { return nil }
        return Caller(name: name, role: role)
    }

    /// Who sends the request, by `Authorization: Bearer`, `Authorization: Basic` (any user, the token as password)
    /// or the session cookie; nil for nobody known.
    func caller(of request: Request) async throws -> Caller? {
        if let header = request.headers[.authorization] { return try await caller(ofHeader: header) }
        return try await caller(ofSession: session(of: request))
    }

    /// Whose session it is. A token that was revoked ends its sessions.
    func caller(ofSession session: String?) async throws -> Caller? {
        guard let fields = session?.split(separator: "."), fields.count == 4 else { return nil }
        if fields[2] == Self.administrator { return Caller(name: Self.administrator, role: .admin) }
        return try await caller(ofHash: String(fields[2]))
    }

    func mayRead(_ request: Request) async throws -> Bool {
        if !readersNeedToken { return true }
        return try await caller(of: request) != nil
    }

    /// The actor, for the JSON API. A cookie does not count: a page elsewhere could make a browser send it.
    func requireActor(_ request: Request, _ role: Role = .deployer) async throws -> String {
        let hint = "set SLIPWAY_TOKEN to a token of yours, or to the content of the server's admin-token file"
        guard let header = request.headers[.authorization] else {
            throw RequestProblem(.unauthorized, "this needs a token", hint: hint)
        }
        guard let caller = try await caller(ofHeader: header) else {
            throw RequestProblem(.unauthorized, "the token is not valid", hint: hint)
        }
        return try caller.acting(as: role)
    }

    func requireReader(_ request: Request) async throws {
        guard try await mayRead(request) else {
            throw RequestProblem(.unauthorized, "this needs a token", hint: "sign in, or set SLIPWAY_TOKEN")
        }
    }

    private func caller(ofHeader header: String) async throws -> Caller? {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        switch parts[0].lowercased() {
        case "bearer": return try await caller(ofToken: String(parts[1]))
        case "basic":
            guard let password = RegistryIdentities.password(inBasic: header) else { return nil }
            return try await caller(ofToken: password)
        default: return nil
        }
    }

    // MARK: Sessions: `<expiry>.<nonce>.<whose>.<hmac>`

    /// - Parameter token: the administrator's or a person's; of the latter the session names the hash.
    func newSession(token: String) -> String {
        let nonce = SymmetricKey(size: .bits128).withUnsafeBytes { Data($0).base64EncodedString() }
            .replacing("/", with: "_").replacing("+", with: "-").replacing("=", with: "")
        let whose = isToken(token) ? Self.administrator : AccessToken.hash(of: token)
        let body = "\(Int(clock() + Self.sessionSeconds)).\(nonce).\(whose)"
        return "\(body).\(code(for: body))"
    }

    /// The session of a request when it is genuine and not over.
    func session(of request: Request) -> String? {
        guard let value = cookieValue(of: request), let dot = value.lastIndex(of: ".") else { return nil }
        let body = String(value[..<dot])
        guard isCode(String(value[value.index(after: dot)...]), for: body),
            let expiry = body.split(separator: ".").first.flatMap({ Double($0) }), expiry > clock()
        else { return nil }
        return value
    }

    private func cookieValue(of request: Request) -> String? {
        for header in request.headers[values: .cookie] {
            for pair in header.split(separator: ";") {
                let parts = pair.split(separator: "=", maxSplits: 1)
                if parts.count == 2, parts[0].drop(while: \.isWhitespace) == Self.cookie { return String(parts[1]) }
            }
        }
        return nil
    }

    /// The value of the hidden field `csrf` in every form of a session; "" without one.
    func csrf(for session: String?) -> String { session.map { code(for: "csrf \($0)") } ?? "" }

    func isCSRF(_ text: String, for session: String) -> Bool { isCode(text, for: "csrf \(session)") }

    private func code(for body: String) -> String {
        HMAC<SHA256>.authenticationCode(for: Array(body.utf8), using: key).hexadecimal
    }

    private func isCode(_ text: String, for body: String) -> Bool {
        guard let bytes = hexBytes(text) else { return false }
        return HMAC<SHA256>.isValidAuthenticationCode(bytes, authenticating: Array(body.utf8), using: key)
    }
}

extension Caller {
    var mayDeploy: Bool { role >= .deployer }

    /// The name, where the role allows it.
    func acting(as wanted: Role) throws -> String {
        guard role >= wanted else {
            throw RequestProblem(
                .forbidden, "\(name) may not do this: it needs the role \(wanted.rawValue), the token has \(role.rawValue)",
                hint: "ask an administrator for a token with --role \(wanted.rawValue)")
        }
        return name
    }
}

/// The bytes of hexadecimal text; nil when it is not.
func hexBytes(_ text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2), digits.count <= 256 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) else {
            return nil
        }
        bytes.append(byte)
    }
    return bytes
}
