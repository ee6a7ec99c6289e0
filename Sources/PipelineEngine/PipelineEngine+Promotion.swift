import DeliveryModel
import PipelineFile
public import StateStore

/// What people ask for: promote, approve, reject, roll back. Each is one transaction; the workers do the rest.
extension PipelineEngine {
    /// Whoever holds the administrator's token; counts as a member of every group.
    public static let administrator = "admin"

    /// Brings into `stage` the release that is healthy in the stage before it, or `release` when given.
    ///
    /// Only a digest that has been healthy in the stage before can go. Returns the new deployment.
    public func promote(
        to place: StageName, release wanted: Int64? = nil, by actor: String
    ) async throws
        -> Deployment
    {
        let (project, stage) = (place.project, place.stage)
        for release in try await parts.store.releases(project: project, limit: 200) where release.pipeline == place.pipeline {
            if let wanted, release.id != wanted { continue }
            guard let plan = try Self.stages(of: release).first(where: { $0.name == stage }) else { continue }
            if let before = plan.after {
                let healthy = try await parts.store.deployments(ofRelease: release.id)
                    .contains { $0.stage == before && $0.phase == .succeeded && $0.digest == release.digest }
                if !healthy {
                    if wanted == nil { continue }
                    throw EngineError(
                        .notPromotable, "release \(release.id) has not been healthy in '\(before)'",
                        hint: "deploy it to \(before) first")
                }
            }
            return try await create(newDeployment(to: plan, kind: "promotion", by: actor), of: release.id)
        }
        throw EngineError(
            .notPromotable, "no release of '\(project)' can go to '\(stage)' yet",
            hint: "see what is where with: slipway status \(project)")
    }

    /// Brings back what was in `stage` before what is there now; ends a deployment that is under way. Needs no approval: it has been there.
    public func rollback(
        _ place: StageName, to wanted: Int64? = nil, by actor: String
    ) async throws
        -> Deployment
    {
        let (project, stage) = (place.project, place.stage)
        // What is being replaced is still there: it goes back to it.
        if wanted == nil, let open = try await open(in: place), try Self.progress(of: open)?.canGoBack == true {
            return try await abort(place, by: actor)
        }
        let succeeded = try await parts.store.deployments(project: project, limit: 500)
            .filter { place.contains($0) && $0.phase == .succeeded }
        guard let live = succeeded.first,
            let target = succeeded.dropFirst().first(where: { deployment in
                deployment.digest != live.digest && (wanted == nil || deployment.release == wanted)
            })
        else {
            throw EngineError(
                .nothingToRollBackTo, "'\(stage)' of '\(project)' has had no other release",
                hint: "see its history with: slipway status \(project)")
        }
        let deployment = NewDeployment(
            stage: stage, kind: "rollback", requestedBy: actor, approvalsNeeded: 0, expiresAfter: nil)
        return try await create(deployment, of: target.release)
    }

    private func create(_ new: NewDeployment, of release: Int64) async throws -> Deployment {
        let id = try await parts.store.createDeployment(new, of: release)
        bell.ring()
        guard let deployment = try await parts.store.deployment(id) else {
            throw StateError(.notFound, "deployment \(id) is gone", hint: "was the project removed?")
        }
        return deployment
    }

    /// Says yes or no to a waiting deployment, by the rules of its stage.
    public func decide(
        deployment id: Int64, by actor: String, approve: Bool, comment: String? = nil
    ) async throws -> DecisionOutcome {
        guard let deployment = try await parts.store.deployment(id),
            let release = try await parts.store.release(deployment.release)
        else { return .unknown }
        let rule = try Self.stages(of: release).first { $0.name == deployment.stage }?.approval
        if approve, let rule, rule.notAuthor, actor == release.author {
            throw EngineError(
                .notPromotable, "\(actor) wrote this commit and cannot approve it",
                hint: "the stage '\(deployment.stage)' asks for somebody else")
        }
        if let rule, !rule.from.isEmpty, actor != Self.administrator, !rule.from.contains(actor), !rule.from.contains("user:\(actor)") {
            throw EngineError(
                .notPromotable, "\(actor) is not among those who decide about '\(deployment.stage)'",
                hint: "ask one of: \(rule.from.joined(separator: ", "))")
        }
        let outcome = try await parts.store.decide(
            deployment: id, actor: actor, approved: approve, comment: comment)
        bell.ring()
        return outcome
    }

    /// The deployment of a stage that waits for approval.
    public func waiting(in place: StageName) async throws -> Deployment? {
        try await parts.store.deployments(project: place.project, limit: 200)
            .first { place.contains($0) && $0.phase == .awaitingApproval }
    }

    public func cancel(run: Int64, by actor: String) async throws -> Bool {
        let done = try await parts.store.requestCancel(run: run, actor: actor)
        bell.ring()
        return done
    }
}
