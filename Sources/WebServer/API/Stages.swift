import DeliveryModel
import Hummingbird
import PipelineEngine
import PipelineFile
import StateStore

/// `/api/v1/projects/<project>/stages/<stage>/…`: promote, approve, reject, roll back.
func addStageAPI(to router: Router<WebContext>, _ parts: WebParts) {
    let base = "/api/v1/projects/:project/stages/:stage"
    router.post("\(base)/promote") { request, context -> Response in
        let actor = try parts.access.requireActor(request)
        let (project, stage) = try await place(context, parts)
        return try json(
            DeploymentValue(try await parts.engine.promote(project: project, stage: stage, by: actor)), status: .accepted)
    }
    router.post("\(base)/rollback") { request, context -> Response in
        let actor = try parts.access.requireActor(request)
        let (project, stage) = try await place(context, parts)
        return try json(
            DeploymentValue(try await parts.engine.rollback(project: project, stage: stage, by: actor)),
            status: .accepted)
    }
    for approve in [true, false] {
        router.post("\(base)/\(approve ? "approve" : "reject")") { request, context -> Response in
            let actor = try parts.access.requireActor(request)
            let (project, stage) = try await place(context, parts)
            guard let waiting = try await parts.engine.waiting(project: project, stage: stage) else {
                throw RequestProblem(
                    .conflict, "nothing waits for approval in '\(stage)' of '\(project)'",
                    hint: "see what is where with: slipway status \(project)")
            }
            return try json(try await decide(waiting.id, approve: approve, by: actor, parts))
        }
    }
}

private func place(_ context: WebContext, _ parts: WebParts) async throws -> (project: String, stage: String) {
    let (project, stage) = (try context.parameters.require("project"), try context.parameters.require("stage"))
    guard try await parts.store.project(project) != nil else { throw unknownProject(project) }
    let stages = try await parts.engine.overview(project: project)
    if !stages.isEmpty, !stages.contains(where: { $0.plan.name == stage }) {
        throw RequestProblem.unknown(
            "stage", stage, hint: "'\(project)' has: \(stages.map(\.plan.name).joined(separator: ", "))")
    }
    return (project, stage)
}

func decide(_ deployment: Int64, approve: Bool, by actor: String, _ parts: WebParts) async throws -> DecisionValue {
    switch try await parts.engine.decide(deployment: deployment, by: actor, approve: approve) {
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
