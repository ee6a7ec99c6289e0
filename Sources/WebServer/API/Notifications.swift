import DeliveryModel
import Foundation
import FoundationEssentials
import Hummingbird
import PipelineEngine
import StateStore

/// A webhook about to be added.
public struct NotifyRequest: Codable, Sendable {
    public var url: String
    /// Empty: all.
    public var events: [String]

    public init(url: String, events: [String]) {
        self.url = url
        self.events = events
    }
}

/// A forge that is told the state of runs.
public struct StatusTargetRequest: Codable, Sendable {
    /// `github` or `gitea`.
    public var forge: String
    /// The repository's page or its API address.
    public var url: String
    /// The project's secret that holds the token.
    public var tokenSecret: String

    public init(forge: String, url: String, tokenSecret: String) {
        self.forge = forge
        self.url = url
        self.tokenSecret = tokenSecret
    }
}

/// Where messages of a project go.
public struct OutboxTargetValue: Codable, Sendable {
    public var id: Int64
    /// `webhook`, `github` or `gitea`.
    public var kind: String
    public var url: String
    /// Empty: all.
    public var events: [String]
    public var tokenSecret: String?
    public var createdAt: Double
    /// What a webhook is signed with; only in the answer to its creation.
    public var secret: String?

    init(_ target: OutboxTarget, secret: String? = nil) {
        id = target.id
        kind = target.kind.rawValue
        url = target.url
        events = target.events
        tokenSecret = target.tokenSecret
        createdAt = target.createdAt
        self.secret = secret
    }
}

/// `/api/v1/projects/<project>/notify…` and `…/status-target`: for the administrator.
func addNotificationAPI(to router: Router<WebContext>, _ parts: WebParts) {
    router.get("/api/v1/projects/:project/notify") { request, context -> Response in
        _ = try await parts.access.requireActor(request, .admin)
        let project = try await knownProject(context, parts)
        return try json(try await parts.store.outboxTargets(project: project).map { OutboxTargetValue($0) })
    }
    router.post("/api/v1/projects/:project/notify") { request, context -> Response in
        let actor = try await parts.access.requireActor(request, .admin)
        let project = try await knownProject(context, parts)
        let wanted = try await decodeBody(NotifyRequest.self, request)
        try checkAddress(wanted.url)
        for event in wanted.events where Announcement.Event(rawValue: event) == nil {
            let known = Announcement.Event.allCases.map(\.rawValue).joined(separator: ", ")
            throw RequestProblem(.badRequest, "there is no event '\(event.prefix(60))'", hint: "these are known: \(known)")
        }
        guard try await parts.store.outboxTargets(project: project).count < 50 else {
            throw RequestProblem(.conflict, "'\(project)' has 50 notifications already", hint: "remove some first")
        }
        let secret = SecretBox.newToken()
        let sealed = try parts.secrets.seal(secret, context: PipelineEngine.notifyContext(project))
        let id = try await parts.store.save(
            NewOutboxTarget(
                project: project, kind: .webhook, url: wanted.url, events: wanted.events, sealedSecret: Data(sealed)))
        return try await answer(id, project: project, secret: secret, actor: actor, done: "added", parts)
    }
    router.delete("/api/v1/projects/:project/notify/:target") { request, context -> Response in
        let actor = try await parts.access.requireActor(request, .admin)
        let project = try await knownProject(context, parts)
        let text = try context.parameters.require("target")
        guard let id = Int64(text), try await parts.store.removeOutboxTarget(id, project: project) else {
            throw RequestProblem.unknown("notification", text, hint: "see them with: slipway project notify list \(project)")
        }
        try await parts.store.record(
            project: project, run: nil, deployment: nil, actor: actor, message: "notification \(id) removed")
        return Response(status: .noContent)
    }
    router.put("/api/v1/projects/:project/status-target") { request, context -> Response in
        let actor = try await parts.access.requireActor(request, .admin)
        let project = try await knownProject(context, parts)
        let wanted = try await decodeBody(StatusTargetRequest.self, request)
        guard let kind = OutboxTarget.Kind(rawValue: wanted.forge), kind.isForge else {
            throw RequestProblem(
                .badRequest, "there is no forge '\(wanted.forge.prefix(60))'", hint: "write 'github', or 'gitea' (also for Forgejo)")
        }
        try checkAddress(wanted.url)
        guard try await parts.store.secrets(project: project)[wanted.tokenSecret] != nil else {
            throw RequestProblem.unknown(
                "secret", wanted.tokenSecret,
                hint: "set it first: printf %s \"$TOKEN\" | slipway secret set NAME --project \(project)")
        }
        let id = try await parts.store.save(
            NewOutboxTarget(
                project: project, kind: kind, url: try repositoryAPI(of: wanted.url, kind), tokenSecret: wanted.tokenSecret))
        return try await answer(id, project: project, secret: nil, actor: actor, done: "set", parts)
    }
    router.delete("/api/v1/projects/:project/status-target") { request, context -> Response in
        let actor = try await parts.access.requireActor(request, .admin)
        let project = try await knownProject(context, parts)
        guard let target = try await parts.store.outboxTargets(project: project).first(where: { $0.kind.isForge }),
            try await parts.store.removeOutboxTarget(target.id, project: project)
        else {
            throw RequestProblem(.notFound, "'\(project)' sends no commit statuses", hint: "there is nothing to remove")
        }
        try await parts.store.record(
            project: project, run: nil, deployment: nil, actor: actor, message: "commit statuses to \(target.place) removed")
        return Response(status: .noContent)
    }
}

private func answer(
    _ id: Int64, project: String, secret: String?, actor: String, done: String, _ parts: WebParts
) async throws -> Response {
    guard let target = try await parts.store.outboxTarget(id) else { throw unknownProject(project) }
    let what = target.kind.isForge ? "commit statuses to" : "notification \(id) to"
    try await parts.store.record(
        project: project, run: nil, deployment: nil, actor: actor, message: "\(what) \(target.place) \(done)")
    var response = try json(OutboxTargetValue(target, secret: secret), status: .created)
    response.headers[.cacheControl] = "no-store"
    return response
}

private func knownProject(_ context: WebContext, _ parts: WebParts) async throws -> String {
    let name = try context.parameters.require("project")
    guard try await parts.store.project(name) != nil else { throw unknownProject(name) }
    return name
}

private func checkAddress(_ text: String) throws {
    guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(),
        ["http", "https"].contains(scheme), let host = parts.host, !host.isEmpty, text.utf8.count <= 2000
    else {
        throw RequestProblem(.badRequest, "'\(text.prefix(200))' is not an address", hint: "write https://HOST/PATH")
    }
    if parts.user != nil || parts.password != nil {
        throw RequestProblem(
            .badRequest, "the address holds a password, which would be stored in the clear",
            hint: "leave it out; receivers know us by the signature, forges by the token")
    }
}

/// The API address of the repository whose page or API address is given.
func repositoryAPI(of text: String, _ kind: OutboxTarget.Kind) throws -> String {
    var text = text
    while text.hasSuffix("/") { text.removeLast() }
    if text.hasSuffix(".git") { text.removeLast(4) }
    let problem = RequestProblem(
        .badRequest, "'\(text.prefix(200))' is not a repository's address",
        hint: "write its page, as in https://HOST/OWNER/REPOSITORY, or its API address")
    guard let parts = URLComponents(string: text), parts.query == nil, parts.fragment == nil else { throw problem }
    let path = parts.path.split(separator: "/").map(String.init)
    if path.count >= 3, path[path.count - 3] == "repos" { return text }
    guard path.count >= 2, let end = text.range(of: "/" + path.suffix(2).joined(separator: "/"), options: .backwards) else {
        throw problem
    }
    let base = text[..<end.lowerBound]
    let repository = "repos/" + path.suffix(2).joined(separator: "/")
    if kind == .gitea { return "\(base)/api/v1/\(repository)" }
    return parts.host == "github.com" ? "https://api.github.com/\(repository)" : "\(base)/api/v3/\(repository)"
}
