import DeliveryModel
import Foundation
import Hummingbird
import PipelineEngine
import PipelineFile
import StateStore

/// `/api/v1/projects/<project>/stages/<stage>/…`: promote, approve, reject, roll back.
func addStageAPI(to router: Router<WebContext>, _ parts: WebParts) {
    let base = "/api/v1/projects/:project/stages/:stage"
    router.post("\(base)/promote") { request, context -> Response in
        let actor = try parts.access.requireActor(request)
        let place = try await place(request, context, parts)
        let release = try await release(request, place, parts)
        return try json(DeploymentValue(try await parts.engine.promote(to: place, release: release, by: actor)), status: .accepted)
    }
    router.post("\(base)/rollback") { request, context -> Response in
        let actor = try parts.access.requireActor(request)
        let place = try await place(request, context, parts)
        return try json(DeploymentValue(try await parts.engine.rollback(place, by: actor)), status: .accepted)
    }
    for approve in [true, false] {
        router.post("\(base)/\(approve ? "approve" : "reject")") { request, context -> Response in
            let actor = try parts.access.requireActor(request)
            let place = try await place(request, context, parts)
            guard let waiting = try await parts.engine.waiting(in: place) else {
                throw RequestProblem(
                    .conflict, "nothing waits for approval in '\(place.stage)' of '\(place.project)'",
                    hint: "see what is where with: slipway status \(place.project)")
            }
            return try json(
                try await decide(
                    waiting.id, approve: approve, comment: request.uri.queryParameters.get("comment"), by: actor, parts))
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

func decide(
    _ deployment: Int64, approve: Bool, comment: String?, by actor: String, _ parts: WebParts
) async throws -> DecisionValue {
    let comment = comment?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    guard comment.count <= 500 else {
        throw RequestProblem(.badRequest, "the comment has \(comment.count) characters", hint: "500 are the most")
    }
    let outcome = try await parts.engine.decide(
        deployment: deployment, by: actor, approve: approve, comment: comment.isEmpty ? nil : comment)
    switch outcome {
    case .approved(let remaining):
        return DecisionValue(
            deployment: deployment, outcome: remaining == 0 ? "approved" : "recorded", remaining: remaining)
    case .rejected: return DecisionValue(deployment: deployment, outcome: "rejected", remaining: 0)
    case .notWaiting(let phase):
        throw RequestProblem(
            .conflict, "deployment \(deployment) does not wait for approval: it is \(phase.rawValue)",
            hint: "see what is where with: slipway status")
    case .alreadyDecided:
        throw RequestProblem(
            .conflict, "\(actor) has decided about deployment \(deployment) already",
            hint: "somebody else has to approve it too")
    case .unknown:
        throw RequestProblem.unknown("deployment", "\(deployment)", hint: "see what is where with: slipway status")
    }
}
