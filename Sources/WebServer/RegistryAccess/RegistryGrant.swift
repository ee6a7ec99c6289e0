import Crypto
import FoundationEssentials
import OCIModel

/// What a bearer token of the registry allows (Docker's token specification, "Requesting a Token"): a JWT (RFC 7519)
/// signed with HMAC-SHA-256, good for some minutes.
struct RegistryGrant: Codable, Equatable, Sendable {
    struct Access: Codable, Equatable, Sendable {
        var type = "repository"
        let name: String
        let actions: [String]
    }

    static let service = "slipway"
    static let seconds = 300.0

    /// Whom it was made for, see ``RegistryIdentity``.
    let sub: String
    var iss = Self.service
    var aud = Self.service
    let iat: Double
    let exp: Double
    let access: [Access]

    init(subject: String, access: [Access], at time: Double) {
        sub = subject
        iat = time.rounded(.down)
        exp = iat + Self.seconds
        self.access = access
    }

    func allows(_ action: String, _ repository: RepositoryName) -> Bool {
        access.contains { $0.type == "repository" && $0.name == repository.rawValue && $0.actions.contains(action) }
    }
}

/// Signs grants and knows its own again.
struct GrantSigner: Sendable {
    private let key: SymmetricKey
    private static let header = encode(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8))

    init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

    func sign(_ grant: RegistryGrant) throws -> String {
        let body = "\(Self.header).\(Self.encode(try OCIJSON.encode(grant)))"
        return "\(body).\(Self.encode(Array(HMAC<SHA256>.authenticationCode(for: Array(body.utf8), using: key))))"
    }

    /// The grant of a token that this server signed and that has not expired; nil for anything else.
    func open(_ token: String, at time: Double) -> RegistryGrant? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        // One algorithm, one header: nothing to negotiate.
        guard token.utf8.count <= 16_384, parts.count == 3, parts[0] == Self.header, let code = Self.decode(parts[2]),
            HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: Array("\(parts[0]).\(parts[1])".utf8), using: key),
            let body = Self.decode(parts[1]), let grant = try? OCIJSON.decode(RegistryGrant.self, from: body),
            grant.exp > time, grant.aud == RegistryGrant.service
        else { return nil }
        return grant
    }

    /// Base 64 for URLs, without padding (RFC 4648, section 5).
    private static func encode(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    private static func decode(_ text: Substring) -> [UInt8]? {
        let plain = text.replacing("-", with: "+").replacing("_", with: "/")
        return Data(base64Encoded: plain + String(repeating: "=", count: (4 - plain.count % 4) % 4)).map { Array($0) }
    }
}
