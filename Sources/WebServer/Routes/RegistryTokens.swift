import FoundationEssentials
import Hummingbird
import OCIModel
import RegistryServer

/// `/registry/token`: credentials and wishes in, a short-lived token for what is both wished and allowed out (Docker's
/// token specification; its OAuth 2 form with `POST`).
func addTokenEndpoint(to router: Router<WebContext>, _ gate: RegistryGuard) {
    router.get("/registry/token") { request, _ -> Response in
        var identity = RegistryIdentity.anonymous
        if let header = request.headers[.authorization] {
            guard let password = RegistryIdentities.password(inBasic: header),
                let known = try await gate.identities.identity(ofSecret: password)
            else { return refusal() }
            identity = known
        } else if !gate.identities.anonymousPull {
            return refusal()
        }
        return try answer(identity, RegistryScope.parse(request.uri.queryParameters[values: "scope"]), gate)
    }
    router.post("/registry/token") { request, _ -> Response in
        var request = request
        let body = String(buffer: try await request.collectBody(upTo: 16 << 10))
        guard let form = try? URLEncodedFormDecoder().decode(PasswordForm.self, from: body), form.grant_type == "password",
            let password = form.password
        else { return try oauthError("unsupported_grant_type", "send grant_type=password, or ask with GET") }
        guard let identity = try await gate.identities.identity(ofSecret: password) else { return refusal() }
        return try answer(identity, RegistryScope.parse([Substring(form.scope ?? "")]), gate)
    }
}

/// RFC 6749, section 4.3.2.
private struct PasswordForm: Decodable {
    let grant_type: String
    let password: String?
    let scope: String?
}

private func answer(_ identity: RegistryIdentity, _ scopes: [RegistryScope], _ gate: RegistryGuard) throws -> Response {
    let access = scopes.compactMap { scope -> RegistryGrant.Access? in
        let actions = scope.granted(
            pull: gate.identities.may(identity, .pull, scope.repository), push: gate.identities.may(identity, .push, scope.repository))
        return actions.isEmpty ? nil : RegistryGrant.Access(name: scope.repository.rawValue, actions: actions)
    }
    let now = gate.identities.clock()
    let token = try gate.signer.sign(RegistryGrant(subject: identity.subject, access: access, at: now))
    return try uncached(
        TokenAnswer(
            token: token, access_token: token, expires_in: Int(RegistryGrant.seconds),
            issued_at: Date(timeIntervalSince1970: now).formatted(.iso8601)))
}

/// The first form of the specification calls it `token`, the OAuth 2 form `access_token`.
private struct TokenAnswer: Encodable {
    let token: String
    let access_token: String
    let expires_in: Int
    let issued_at: String
}

private struct OAuthError: Encodable {
    let error: String
    let error_description: String
}

private func oauthError(_ error: String, _ description: String) throws -> Response {
    try uncached(OAuthError(error: error, error_description: description), status: .badRequest)
}

private func uncached(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    var response = try json(value, status: status)
    response.headers[.cacheControl] = "no-store"
    return response
}

private func refusal() -> Response {
    var response = plainText("the token is not valid\n", status: .unauthorized)
    response.headers[.wwwAuthenticate] = #"Basic realm="slipway""#
    return response
}
