import Foundation
import HTTPTypes
import Hummingbird

/// A token service as docker-registry trusts it: RS256 tokens whose certificate is in its bundle.
struct TokenService: Sendable {
    let folder: URL
    let certificate: String
    /// `Authorization` header values that may have a token.
    let allowed: String?
    let asked = Locked<[String]>([])

    static func make(in folder: URL, allowed: String?) async throws -> TokenService {
        try await run(
            "openssl",
            [
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=token", "-keyout",
                folder.appendingPathComponent("key.pem").path, "-out", folder.appendingPathComponent("cert.pem").path,
            ], package: "openssl")
        let pem = try String(contentsOf: folder.appendingPathComponent("cert.pem"), encoding: .utf8)
        let body = pem.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
        return TokenService(folder: folder, certificate: body, allowed: allowed)
    }

    func auth(realm: String) -> String {
        """
        auth: {token: {realm: "\(realm)", service: tests, issuer: tests, rootcertbundle: \(folder.path)/cert.pem}}
        """
    }

    var router: Router<BasicRequestContext> {
        let router = Router()
        router.get("/token") { request, _ -> Response in
            if let allowed, request.headers[.authorization] != allowed { return Response(status: .unauthorized) }
            let scopes = request.uri.queryParameters.getAll("scope").map { String($0) }
            asked.with { $0 += scopes }
            let body = "{\"token\":\"\(try await token(for: scopes))\",\"expires_in\":300}"
            return Response(status: .ok, body: .init(byteBuffer: .init(string: body)))
        }
        return router
    }

    private func token(for scopes: [String]) async throws -> String {
        let now = Int(Date().timeIntervalSince1970)
        let access: [[String: Any]] = scopes.map { scope in
            let parts = scope.split(separator: ":").map { String($0) }
            return ["type": parts[0], "name": parts[1], "actions": parts[2].split(separator: ",").map { String($0) }]
        }
        let claims: [String: Any] = [
            "iss": "tests", "sub": "tester", "aud": "tests", "iat": now, "nbf": now - 60, "exp": now + 300,
            "jti": UUID().uuidString, "access": access,
        ]
        let header: [String: Any] = ["typ": "JWT", "alg": "RS256", "x5c": [certificate]]
        let signed = try Self.base64(header) + "." + Self.base64(claims)
        let input = folder.appendingPathComponent(UUID().uuidString)
        let output = folder.appendingPathComponent(UUID().uuidString)
        try signed.write(to: input, atomically: true, encoding: .utf8)
        try await run(
            "openssl",
            ["dgst", "-sha256", "-sign", folder.appendingPathComponent("key.pem").path, "-out", output.path, input.path],
            package: "openssl")
        return signed + "." + Self.base64(try Data(contentsOf: output))
    }

    private static func base64(_ value: [String: Any]) throws -> String {
        base64(try JSONSerialization.data(withJSONObject: value))
    }

    private static func base64(_ data: Data) -> String {
        data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
