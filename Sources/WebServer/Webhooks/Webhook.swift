import Crypto
import FoundationEssentials
import HTTPTypes
import Hummingbird
import PipelineEngine
import StateStore

/// One forge's way to call: where its id, event and signature are, and how its payload is read.
protocol Forge: Sendable {
    var name: String { get }
    /// Whether the request is this forge's.
    func recognizes(_ headers: HTTPFields) -> Bool
    func deliveryID(_ headers: HTTPFields) -> String?
    /// The HMAC-SHA-256 of the raw body in hexadecimal, without a prefix.
    func signature(_ headers: HTTPFields) -> String?
    func payload(_ headers: HTTPFields, body: [UInt8]) throws -> Payload
}

/// What a delivery says, in our words. An event that means nothing to us keeps its name and starts nothing.
struct Payload: Equatable {
    var event: String
    var branch: String?
    var tag: String?
    var commit: String?
    var before: String?
}

/// A header of a webhook; names are compared without case.
func header(_ name: String, _ headers: HTTPFields) -> String? {
    HTTPField.Name(name).flatMap { headers[$0] }
}

/// `sha256=<hex>` without its prefix.
func withoutPrefix(_ signature: String?) -> String? {
    guard let signature else { return nil }
    return signature.hasPrefix("sha256=") ? String(signature.dropFirst(7)) : signature
}

/// What came of a webhook.
struct WebhookAnswer: Codable {
    var delivery: Int64
    var duplicate: Bool
}

private let forges: [any Forge] = [PlainForge(), GiteaForge(), GitHubForge()]
private let bodyLimit = 5 << 20
private let keptHeaders = ["user-agent", "content-type"]

/// `POST /hooks/<project>`: verify the signature over the raw body, commit, then answer 202.
func addWebhookRoutes(to router: Router<WebContext>, _ parts: WebParts) {
    router.post("/hooks/:project") { request, context -> Response in
        guard let name = context.parameters.get("project"), let project = try await parts.store.project(name) else {
            throw RequestProblem.unknown(
                "project", context.parameters.get("project") ?? "", hint: "add it with: slipway project add NAME URL")
        }
        guard let forge = forges.first(where: { $0.recognizes(request.headers) }) else {
            throw RequestProblem(
                .badRequest, "the headers are of no forge known here",
                hint: "send X-Slipway-Event, X-Slipway-Delivery and X-Slipway-Signature, or use GitHub, Gitea or Forgejo")
        }
        let body = try await webhookBody(request)
        let secret = try parts.secrets.open(Array(project.sealedSecret), context: "webhook/\(project.name)")
        guard let signature = forge.signature(request.headers), let code = hexBytes(signature),
            HMAC<SHA256>.isValidAuthenticationCode(
                code, authenticating: body, using: SymmetricKey(data: Array(secret.utf8)))
        else {
            throw RequestProblem(
                .unauthorized, "the signature is missing or does not match the body",
                hint: "sign the raw body with HMAC-SHA-256 and the project's webhook secret")
        }
        guard let id = forge.deliveryID(request.headers), !id.isEmpty, id.utf8.count <= 200 else {
            throw RequestProblem(
                .badRequest, "the delivery has no id", hint: "send a new id with every delivery, at most 200 characters")
        }
        let payload = try forge.payload(request.headers, body: body)
        var headers: [String: String] = [:]
        for field in request.headers {
            let name = field.name.canonicalName
            if name.hasPrefix("x-") && !name.contains("signature") || keptHeaders.contains(name) {
                headers[name] = field.value
            }
        }
        let outcome = try await parts.store.accept(
            NewDelivery(
                project: name, forge: forge.name, forgeID: id, headers: headers, body: body, event: payload.event,
                branch: payload.branch, tag: payload.tag, commit: payload.commit, before: payload.before))
        parts.engine.wake()
        switch outcome {
        case .accepted(let id): return try json(WebhookAnswer(delivery: id, duplicate: false), status: .accepted)
        case .duplicate(let id): return try json(WebhookAnswer(delivery: id, duplicate: true), status: .accepted)
        }
    }
}

private func webhookBody(_ request: Request) async throws -> [UInt8] {
    let tooLarge = RequestProblem(
        .contentTooLarge, "the body is larger than \(bodyLimit) bytes", hint: "send fewer commits in one push")
    if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > bodyLimit { throw tooLarge }
    var body: [UInt8] = []
    for try await chunk in request.body {
        body.append(contentsOf: chunk.readableBytesView)
        if body.count > bodyLimit { throw tooLarge }
    }
    return body
}

/// The payload's JSON, or a 400 that says what is wrong with it.
func decodePayload<T: Decodable>(_ type: T.Type, _ body: [UInt8]) throws -> T {
    do {
        return try JSONDecoder().decode(type, from: Data(body))
    } catch {
        throw RequestProblem(
            .badRequest, "the payload is not what this event carries: \(error)",
            hint: "send the forge's JSON payload (content type application/json)")
    }
}
