import Crypto
import FoundationEssentials
import Hummingbird
import OCIModel
import PipelineEngine

/// Who may do what. One administrator's token is made at the first start; browsers exchange it for a signed cookie.
public struct Access: Sendable {
    static let cookie = "slipway_session"
    static let sessionSeconds = 12.0 * 3600
    static let administrator = PipelineEngine.administrator

    private let tokenHash: SHA256Digest
    private let key: SymmetricKey
    private let readersNeedToken: Bool
    let clock: @Sendable () -> Double

    /// - Parameters:
    ///   - readersNeedToken: false lets everybody who reaches the port read pages and pull images.
    ///   - clock: seconds since 1970.
    public init(token: String, readersNeedToken: Bool, clock: @escaping @Sendable () -> Double) {
        tokenHash = SHA256.hash(data: Array(token.utf8))
        key = SymmetricKey(data: SHA256.hash(data: Array("slipway session key\n\(token)".utf8)))
        self.readersNeedToken = readersNeedToken
        self.clock = clock
    }

    func isToken(_ text: String) -> Bool {
        // Digests are compared in constant time.
        SHA256.hash(data: Array(text.utf8)) == tokenHash
    }

    /// Who sends the request, by `Authorization: Bearer`, `Authorization: Basic` (any user, the token as password)
    /// or the session cookie; nil for nobody known.
    func actor(of request: Request) -> String? {
        if let header = request.headers[.authorization] { return isAuthorized(header) ? Self.administrator : nil }
        return session(of: request) == nil ? nil : Self.administrator
    }

    func mayRead(_ request: Request) -> Bool { !readersNeedToken || actor(of: request) != nil }

    /// The actor, for the JSON API. A cookie does not count: a page elsewhere could make a browser send it.
    func requireActor(_ request: Request) throws -> String {
        guard let header = request.headers[.authorization] else {
            throw RequestProblem(.unauthorized, "this needs a token", hint: "set SLIPWAY_TOKEN to the content of the server's admin-token file")
        }
        guard isAuthorized(header) else {
            throw RequestProblem(.unauthorized, "the token is not valid", hint: "set SLIPWAY_TOKEN to the content of the server's admin-token file")
        }
        return Self.administrator
    }

    func requireReader(_ request: Request) throws {
        guard mayRead(request) else {
            throw RequestProblem(.unauthorized, "this needs a token", hint: "sign in, or set SLIPWAY_TOKEN")
        }
    }

    private func isAuthorized(_ header: String) -> Bool {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return false }
        switch parts[0].lowercased() {
        case "bearer": return isToken(String(parts[1]))
        case "basic": return RegistryIdentities.password(inBasic: header).map(isToken) ?? false
        default: return false
        }
    }

    // MARK: Sessions: `<expiry>.<nonce>.<hmac>`

    func newSession() -> String {
        let nonce = SymmetricKey(size: .bits128).withUnsafeBytes { Data($0).base64EncodedString() }
            .replacing("/", with: "_").replacing("+", with: "-").replacing("=", with: "")
        let body = "\(Int(clock() + Self.sessionSeconds)).\(nonce)"
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
