import DeliveryModel
import FoundationEssentials
import GitRepository
import Hummingbird
import PipelineEngine
import StateStore

/// `/api/v1/projects…`
func addProjectAPI(to router: Router<WebContext>, _ parts: WebParts) {
    let access = parts.access

    router.get("/api/v1/projects") { request, _ -> Response in
        try await access.requireReader(request)
        return try json(
            try await parts.store.projects().map { project in
                ProjectValue(name: project.name, url: GitURL.redacted(project.url), createdAt: project.createdAt)
            })
    }

    router.post("/api/v1/projects") { request, _ -> Response in
        let actor = try await access.requireActor(request, .admin)
        let wanted = try await decodeBody(ProjectRequest.self, request)
        try checkName(wanted.name, of: "project")
        let url = try GitURL(parsing: wanted.url)
        if GitURL.redacted(wanted.url) != wanted.url {
            throw RequestProblem(
                .badRequest, "the URL \(url) holds a password, which would be stored in the clear",
                hint: "use a URL without one, or an ssh key of the server's user")
        }
        let secret = SecretBox.newToken()
        let sealed = try parts.secrets.seal(secret, context: "webhook/\(wanted.name)")
        try await parts.store.add(
            Project(
                name: wanted.name, url: wanted.url, sealedSecret: Data(sealed),
                createdAt: access.clock()))
        try await parts.store.record(
            project: wanted.name, run: nil, deployment: nil, actor: actor, message: "project added")
        parts.engine.projectAdded()
        let hook = "\(parts.publicURL)/hooks/\(wanted.name)"
        return try json(
            NewProjectValue(
                name: wanted.name, hook: hook, secret: secret,
                postReceive: PlainForge.postReceive(url: hook, secret: secret)), status: .created)
    }

    router.delete("/api/v1/projects/:project") { request, context -> Response in
        _ = try await access.requireActor(request, .admin)
        let name = try context.parameters.require("project")
        switch try await parts.engine.removeProject(name) {
        case .removed: return Response(status: .noContent)
        case .unknown: throw unknownProject(name)
        case .busy:
            throw RequestProblem(
                .conflict, "a run or deployment of '\(name)' is under way", hint: "wait for it or cancel it, then try again")
        }
    }

    router.get("/api/v1/projects/:project/status") { request, context -> Response in
        try await access.requireReader(request)
        let name = try context.parameters.require("project")
        guard try await parts.store.project(name) != nil else { throw unknownProject(name) }
        let stages = try await parts.engine.overview(project: name)
        return try json(
            StatusValue(
                project: name,
                stages: stages.map { StageValue($0, project: name, routerPort: parts.routerPort) }))
    }

    router.post("/api/v1/projects/:project/trigger") { request, context -> Response in
        let actor = try await access.requireActor(request)
        let name = try context.parameters.require("project")
        guard try await parts.store.project(name) != nil else { throw unknownProject(name) }
        let wanted = try await decodeBody(TriggerRequest.self, request)
        let id = UUID().uuidString.lowercased()
        let outcome = try await parts.store.accept(
            NewDelivery(
                project: name, forge: "manual", forgeID: id, headers: ["actor": actor], body: [], event: "manual",
                branch: wanted.branch))
        parts.engine.wake()
        switch outcome {
        case .accepted(let id), .duplicate(let id):
            return try json(WebhookAnswer(delivery: id, duplicate: false), status: .accepted)
        }
    }

    router.get("/api/v1/projects/:project/deliveries") { request, context -> Response in
        _ = try await access.requireActor(request)
        let name = try context.parameters.require("project")
        let deliveries = try await parts.store.deliveries(project: name, limit: 100)
        return try json(deliveries.map { DeliveryValue($0, isQuarantined: parts.engine.isQuarantined($0)) })
    }

    router.post("/api/v1/deliveries/:delivery/retry") { request, context -> Response in
        let actor = try await access.requireActor(request)
        let text = try context.parameters.require("delivery")
        guard let id = Int64(text), try await parts.engine.retryDelivery(id, by: actor) else {
            throw RequestProblem(
                .conflict, "there is no delivery \(text.prefix(20)) that was given up", hint: "see them with: slipway deliveries PROJECT")
        }
        return Response(status: .noContent)
    }

    addSecretAPI(to: router, parts)
}

/// `/api/v1/projects/<project>/secrets…`: values go in, only names come out.
private func addSecretAPI(to router: Router<WebContext>, _ parts: WebParts) {
    router.get("/api/v1/projects/:project/secrets") { request, context -> Response in
        _ = try await parts.access.requireActor(request, .admin)
        let name = try context.parameters.require("project")
        return try json(try await parts.store.secrets(project: name).keys.sorted())
    }
    router.put("/api/v1/projects/:project/secrets/:secret") { request, context -> Response in
        let actor = try await parts.access.requireActor(request, .admin)
        let (project, name) = (try context.parameters.require("project"), try context.parameters.require("secret"))
        guard try await parts.store.project(project) != nil else { throw unknownProject(project) }
        let value = try await decodeBody(SecretRequest.self, request).value
        let sealed = try parts.secrets.seal(value, context: "\(project)/\(name)")
        try await parts.store.setSecret(name, project: project, sealed: sealed)
        try await parts.store.record(
            project: project, run: nil, deployment: nil, actor: actor, message: "secret \(name) set")
        return Response(status: .noContent)
    }
    router.delete("/api/v1/projects/:project/secrets/:secret") { request, context -> Response in
        _ = try await parts.access.requireActor(request, .admin)
        let (project, name) = (try context.parameters.require("project"), try context.parameters.require("secret"))
        guard try await parts.store.removeSecret(name, project: project) else {
            throw RequestProblem.unknown("secret", name, hint: "see them with: slipway secret list --project \(project)")
        }
        return Response(status: .noContent)
    }
}

/// A webhook call, or a push found without one.
public struct DeliveryValue: Codable, Sendable {
    public var id: Int64
    /// `github`, `gitea`, `plain`, `manual`, or `reconcile` for a push whose webhook never came.
    public var forge: String
    public var event: String
    public var branch: String?
    public var commit: String?
    /// `received`, `processed`, `failed`, or `quarantined` when the server ended too often while it worked on it.
    public var state: String
    public var outcome: String?
    public var receivedAt: Double

    init(_ delivery: Delivery, isQuarantined: Bool) {
        id = delivery.id
        forge = delivery.forge
        event = delivery.event
        branch = delivery.branch ?? delivery.tag
        commit = delivery.commit
        state = isQuarantined ? "quarantined" : delivery.state.rawValue
        outcome = delivery.outcome
        receivedAt = delivery.receivedAt
    }
}

func unknownProject(_ name: String) -> RequestProblem {
    .unknown("project", name, hint: "see them with: slipway project list")
}

/// Names become folders, container names and parts of addresses.
func checkName(_ name: String, of kind: String) throws {
    let allowed = name.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
    guard allowed, (1...40).contains(name.utf8.count), !name.hasPrefix("-"), !name.hasSuffix("-") else {
        throw RequestProblem(
            .badRequest, "'\(name.prefix(60))' is not a name for a \(kind)",
            hint: "use lower-case letters, digits and '-', at most 40, as in gtin")
    }
}
