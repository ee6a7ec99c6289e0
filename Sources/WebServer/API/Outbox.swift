import Hummingbird
import PipelineEngine
import StateStore

/// A message that is to leave, or has left.
public struct OutboxMessageValue: Codable, Sendable {
    public var id: Int64
    /// The header `X-Slipway-Message`.
    public var message: String
    public var project: String
    /// `webhook`, `github` or `gitea`.
    public var kind: String
    /// Where it goes, without what may be a secret of the address.
    public var target: String
    public var event: String
    public var run: Int64
    public var deployment: Int64?
    /// `waiting`, `sent`, `dead`, `skipped` or `discarded`.
    public var state: String
    public var attempts: Int
    /// Why it has not arrived.
    public var problem: String?
    public var createdAt: Double
    /// While it waits: not before this time.
    public var nextAttemptAt: Double?
    public var finishedAt: Double?

    init(_ message: OutboxMessage, _ target: OutboxTarget?) {
        id = message.id
        self.message = message.key
        project = message.project
        kind = target?.kind.rawValue ?? "removed"
        self.target = target?.place ?? ""
        event = message.facts.event.rawValue
        run = message.facts.run
        deployment = message.facts.deployment
        state = message.state.rawValue
        attempts = message.attempts
        problem = message.problem
        createdAt = message.createdAt
        nextAttemptAt = message.state == .waiting ? message.nextAttemptAt : nil
        finishedAt = message.finishedAt
    }
}

/// `/api/v1/outbox…`: what waits and what was given up; with `state=sent,skipped,discarded` also what is past.
func addOutboxAPI(to router: Router<WebContext>, _ parts: WebParts) {
    router.get("/api/v1/outbox") { request, _ -> Response in
        _ = try await parts.access.requireActor(request)
        var states: [OutboxMessage.State] = [.waiting, .dead]
        if let text = request.uri.queryParameters.get("state") {
            states = try text.split(separator: ",").map { word in
                guard let state = OutboxMessage.State(rawValue: String(word)) else {
                    let known = OutboxMessage.State.allCases.map(\.rawValue).joined(separator: ", ")
                    throw RequestProblem(.badRequest, "there is no state '\(word.prefix(60))'", hint: "these are known: \(known)")
                }
                return state
            }
        }
        let limit = min(max(request.uri.queryParameters.get("limit", as: Int.self) ?? 200, 1), 1000)
        return try json(
            try await outbox(parts, project: request.uri.queryParameters.get("project"), states: states, limit: limit))
    }
    for retry in [true, false] {
        router.post("/api/v1/outbox/:message/\(retry ? "retry" : "discard")") { request, context -> Response in
            _ = try await parts.access.requireActor(request)
            try await decide(try context.parameters.require("message"), retry: retry, parts)
            return Response(status: .noContent)
        }
    }
}

/// Messages with their targets, newest first.
func outbox(
    _ parts: WebParts, project: String?, states: [OutboxMessage.State], limit: Int
) async throws -> [OutboxMessageValue] {
    var targets: [Int64: OutboxTarget] = [:]
    var values: [OutboxMessageValue] = []
    for message in try await parts.store.messages(project: project, states: states, limit: limit) {
        if targets[message.target] == nil { targets[message.target] = try await parts.store.outboxTarget(message.target) }
        values.append(OutboxMessageValue(message, targets[message.target]))
    }
    return values
}

/// Sends a dead letter again, or gives a message up.
func decide(_ message: String, retry: Bool, _ parts: WebParts) async throws {
    guard let id = Int64(message), try await parts.engine.decide(message: id, retry: retry) else {
        throw RequestProblem(
            .conflict, retry ? "message \(message.prefix(20)) is no dead letter" : "message \(message.prefix(20)) neither waits nor is dead",
            hint: "see them with: slipway outbox")
    }
}
