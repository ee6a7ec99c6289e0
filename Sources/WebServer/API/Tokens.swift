public import DeliveryModel
import FoundationEssentials
import Hummingbird
import ImageStore
import Logging
public import OCIModel
import PipelineEngine
import RegistryServer
import StateStore

/// A token about to be made.
public struct TokenRequest: Codable, Sendable {
    public var name: String
    public var pull: [RepositoryPattern]
    public var push: [RepositoryPattern]
    /// Seconds from now; nil: never.
    public var expiresIn: Double?
    /// Who will hold it; nil: a machine.
    public var person: String?
    /// `viewer`, `deployer` or `admin`; with a person only.
    public var role: Role?

    public init(
        name: String, pull: [RepositoryPattern], push: [RepositoryPattern], expiresIn: Double?, person: String? = nil, role: Role? = nil
    ) {
        self.person = person
        self.role = role
        self.name = name
        self.pull = pull
        self.push = push
        self.expiresIn = expiresIn
    }
}

/// A token as listed.
public struct TokenValue: Codable, Sendable {
    public var name: String
    public var pull: [RepositoryPattern]
    public var push: [RepositoryPattern]
    public var createdBy: String
    public var createdAt: Double
    public var expiresAt: Double?
    public var person: String?
    public var role: Role?
    /// Only in the answer to its creation.
    public var secret: String?

    init(_ token: AccessToken, secret: String? = nil) {
        name = token.name
        pull = token.pull
        push = token.push
        createdBy = token.createdBy
        createdAt = token.createdAt
        expiresAt = token.expiresAt
        person = token.person
        role = token.role
        self.secret = secret
    }
}

/// `/api/v1/tokens…`: who may pull and push where, and whose they are. For administrators.
func addTokenAPI(to router: Router<WebContext>, _ parts: WebParts) {
    router.get("/api/v1/tokens") { request, _ -> Response in
        _ = try await parts.access.requireActor(request, .admin)
        return try json(try await parts.store.tokens().map { TokenValue($0) })
    }
    router.post("/api/v1/tokens") { request, _ -> Response in
        let actor = try await parts.access.requireActor(request, .admin)
        let wanted = try await decodeBody(TokenRequest.self, request)
        try checkName(wanted.name, of: "token")
        guard !wanted.pull.isEmpty || !wanted.push.isEmpty || wanted.person != nil else {
            throw RequestProblem(
                .badRequest, "the token would allow nothing", hint: "name repositories with --pull or --push, or whose it is with --person")
        }
        try check(wanted.person, role: wanted.role, parts.engine.people)
        guard wanted.pull.count + wanted.push.count <= 100, wanted.expiresIn.map({ $0 > 0 && $0 < 1e10 }) ?? true else {
            throw RequestProblem(
                .badRequest, "a token has at most 100 patterns and a time to live above zero", hint: "make several tokens")
        }
        let now = parts.access.clock()
        let (secret, hash) = AccessToken.newSecret()
        let token = AccessToken(
            name: wanted.name, hash: hash, pull: wanted.pull, push: wanted.push, createdBy: actor, createdAt: now,
            expiresAt: wanted.expiresIn.map { now + $0 }, person: wanted.person, role: wanted.person.map { _ in wanted.role ?? .deployer })
        try await parts.store.add(token)
        parts.logger.info("token \(token.name) created by \(actor)")
        var response = try json(TokenValue(token, secret: secret), status: .created)
        response.headers[.cacheControl] = "no-store"
        return response
    }
    router.delete("/api/v1/tokens/:token") { request, context -> Response in
        let actor = try await parts.access.requireActor(request, .admin)
        let name = try context.parameters.require("token")
        guard try await parts.store.removeToken(name) else {
            throw RequestProblem.unknown("token", name, hint: "see them with: slipway token list")
        }
        parts.logger.info("token \(name) revoked by \(actor)")
        return Response(status: .noContent)
    }
}

/// Only those the server's configuration names can hold a token.
private func check(_ person: String?, role: Role?, _ people: People) throws {
    guard let person else {
        if role == nil { return }
        throw RequestProblem(.badRequest, "a role belongs to a person", hint: "say whose token it is with --person")
    }
    guard person != People.administrator else {
        throw RequestProblem(.badRequest, "the administrator's token is the one in the data directory", hint: "name a person with --person")
    }
    guard people.isKnown(person) else {
        throw RequestProblem(
            .badRequest, "the server does not know '\(person.prefix(100))'",
            hint: people.persons.isEmpty
                ? "add the person to 'people' in the server's slipway.yaml"
                : "it knows: \(people.persons.keys.sorted().joined(separator: ", ").prefix(300)); add others to 'people' in slipway.yaml")
    }
}

/// `/api/v1/registry/collect`
func addRegistryCare(to router: Router<WebContext>, _ parts: WebParts) {
    router.post("/api/v1/registry/collect") { request, _ -> Response in
        _ = try await parts.access.requireActor(request, .admin)
        return try json(try await parts.registry.collect(request.uri.queryParameters["dry_run"] == "true"))
    }
}
