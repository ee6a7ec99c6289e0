import Hummingbird
import OCIModel
import RegistryServer

/// The registry, and the token endpoint its clients ask first.
///
/// `/v2/` answers 401 to the unknown even where everybody may pull: docker and skopeo look there once to learn how to
/// send credentials, and never send any when it answers 200. The challenge is Bearer, because with Basic docker
/// refuses to pull without a login.
func addRegistryAccess(to router: Router<WebContext>, _ parts: WebParts) {
    let access = parts.access
    addRegistryRoutes(
        to: router, store: parts.images, uploadKey: parts.uploadKey,
        challenge: #"Bearer realm="\#(parts.publicURL)/registry/token",service="slipway""#
    ) { request, action, repository in
        let isPing = repository == nil && !request.uri.path.hasPrefix("/v2/_")
        return action == .pull && !isPing ? access.mayRead(request) : access.actor(of: request) != nil
    }
    router.get("/registry/token") { request, _ -> Response in
        guard let header = request.headers[.authorization] else {
            guard access.mayRead(request) else { return refusal() }
            return try jsonToken("anonymous")
        }
        guard let token = access.token(inBasic: header) else { return refusal() }
        return try jsonToken(token)
    }
}

/// The spec of the token endpoint names `token`; the OAuth 2 form of it `access_token`.
private struct TokenAnswer: Encodable {
    let token: String
    let access_token: String
    let expires_in = 300
}

private func jsonToken(_ token: String) throws -> Response {
    let bytes = try OCIJSON.encode(TokenAnswer(token: token, access_token: token))
    return Response(
        status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
        body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
}

private func refusal() -> Response {
    var response = plainText("the token is not valid\n", status: .unauthorized)
    response.headers[.wwwAuthenticate] = #"Basic realm="slipway""#
    return response
}
