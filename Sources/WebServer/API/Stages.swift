public import DeliveryModel
import Foundation
import Hummingbird
import OCIModel
import PipelineEngine
import PipelineFile
import StateStore

/// `/api/v1/projects/<project>/stages/<stage>/…`: promote, approve, reject, roll back, why, plan.
func addStageAPI(to router: Router<WebContext>, _ parts: WebParts) {
    let base = "/api/v1/projects/:project/stages/:stage"
    router.post("\(base)/promote") { request, context -> Response in
        let actor = try await parts.access.requireActor(request)
        let place = try await place(request, context, parts)
        let release = try await release(request, place, parts)
        let reason = try request.uri.queryParameters.get("override").map { try overrideReason(String($0)) }
        return try json(
            DeploymentValue(try await parts.engine.promote(to: place, release: release, overridingFreeze: reason, by: actor)), status: .accepted)
    }
    router.get("\(base)/why") { request, context -> Response in
        try await parts.access.requireReader(request)
        let place = try await place(request, context, parts)
        guard let stage = try await overview(place, parts) else { throw RequestProblem.unknown("stage", place.stage, hint: "see: slipway status") }
        let facts = try await parts.engine.facts(of: stage, project: place.project)
        return try json(WhyValue(project: place.project, pipeline: place.pipeline, stage: place.stage, why: facts.why, facts: facts))
    }
    router.get("\(base)/plan") { request, context -> Response in
        try await parts.access.requireReader(request)
        return try json(try await parts.engine.plan(for: try await place(request, context, parts)))
    }
    router.post("\(base)/override") { request, context -> Response in
        let actor = try await parts.access.requireActor(request)
        let place = try await place(request, context, parts)
        let reason = try overrideReason(request.uri.queryParameters.get("reason").map { String($0) })
        return try json(DeploymentValue(try await parts.engine.overrideFreeze(place, reason: reason, by: actor)), status: .accepted)
    }
    router.post("\(base)/rollback") { request, context -> Response in
        let actor = try await parts.access.requireActor(request)
        let place = try await place(request, context, parts)
        return try json(DeploymentValue(try await parts.engine.rollback(place, by: actor)), status: .accepted)
    }
    for approve in [true, false] {
        router.post("\(base)/\(approve ? "approve" : "reject")") { request, context -> Response in
            let actor = try await parts.access.requireActor(request)
            let place = try await place(request, context, parts)
            guard let waiting = try await parts.engine.waiting(in: place) else {
                throw RequestProblem(
                    .conflict, "nothing waits for approval in '\(place.stage)' of '\(place.project)'",
                    hint: "see what is where with: slipway status \(place.project)")
            }
            return try json(
                try await decide(
                    waiting.id,
                    NewDecision(
                        actor: actor, approved: approve, comment: request.uri.queryParameters.get("comment"),
                        digest: try seenDigest(request.uri.queryParameters.get("digest")),
                        configuration: request.uri.queryParameters.get("configuration")), parts))
        }
    }
}

/// The release that `?run=` made; nil when the request names no run.
private func release(_ request: Request, _ place: StageName, _ parts: WebParts) async throws -> Int64? {
    guard let text = request.uri.queryParameters.get("run") else { return nil }
    guard let id = Int64(text), let run = try await parts.store.run(id), run.project == place.project else {
        throw RequestProblem.unknown("run", text, hint: "see the runs with: slipway runs \(place.project)")
    }
    guard let release = try await parts.store.release(ofRun: id) else {
        throw RequestProblem(.conflict, "run \(id) made no release", hint: "choose a run that succeeded and has a digest")
    }
    return release.id
}

/// The stage a request is about; `?pipeline=` says whose, where several pipelines have one of that name.
func place(_ request: Request, _ context: WebContext, _ parts: WebParts) async throws -> StageName {
    let (project, stage) = (try context.parameters.require("project"), try context.parameters.require("stage"))
    guard try await parts.store.project(project) != nil else { throw unknownProject(project) }
    return try await parts.engine.stage(
        stage, of: project, pipeline: request.uri.queryParameters.get("pipeline"))
}

/// The stage with what is live and what waits there.
func overview(_ place: StageName, _ parts: WebParts) async throws -> StageOverview? {
    try await parts.engine.overview(project: place.project).first { $0.pipeline == place.pipeline && $0.plan.name == place.stage }
}

/// Why something is not live.
public struct WhyValue: Codable, Sendable {
    public var project: String
    public var pipeline: String
    public var stage: String
    /// One line.
    public var why: String
    public var facts: StageFacts
}

/// Why a freeze is set aside, in 1 to 500 characters.
func overrideReason(_ text: String?) throws -> String {
    guard let text = text?.trimmingCharacters(in: .whitespacesAndNewlines), (1...500).contains(text.count) else {
        throw RequestProblem(.badRequest, "a freeze is set aside with a reason of 1 to 500 characters", hint: "say why it cannot wait")
    }
    return text
}

/// The digest of what somebody has looked at; nil when they do not say.
func seenDigest(_ text: String?) throws -> Digest? {
    guard let text else { return nil }
    do { return try Digest(parsing: text) } catch {
        throw RequestProblem(.badRequest, "'\(text.prefix(80))' is not a digest", hint: "write sha256: and 64 digits")
    }
}

func decide(_ deployment: Int64, _ decision: NewDecision, _ parts: WebParts) async throws -> DecisionValue {
    var decision = decision
    let comment = decision.comment?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    guard comment.count <= 500 else {
        throw RequestProblem(.badRequest, "the comment has \(comment.count) characters", hint: "500 are the most")
    }
    decision.comment = comment.isEmpty ? nil : comment
    switch try await parts.engine.decide(deployment: deployment, decision) {
    case .approved(let remaining):
        return DecisionValue(
            deployment: deployment, outcome: remaining == 0 ? "approved" : "recorded", remaining: remaining)
    case .rejected: return DecisionValue(deployment: deployment, outcome: "rejected", remaining: 0)
    case .notWaiting(let phase):
        throw RequestProblem(
            .conflict, "deployment \(deployment) does not wait for approval: it is \(phase.rawValue)",
            hint: "see what is where with: slipway status")
    case .refused(let refusal): throw RequestProblem(.conflict, refusal.reason, hint: refusal.hint)
    case .unknown:
        throw RequestProblem.unknown("deployment", "\(deployment)", hint: "see what is where with: slipway status")
    }
}
