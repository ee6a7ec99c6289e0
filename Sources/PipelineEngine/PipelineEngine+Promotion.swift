import DeliveryModel
import PipelineFile
public import StateStore

/// What people ask for: promote, approve, reject, roll back. Each is one transaction; the workers do the rest.
extension PipelineEngine {
    /// Whoever holds the administrator's token; counts as a member of every group.
    public static let administrator = People.administrator

    /// Brings into `stage` the release that is healthy in the stage before it, or `release` when given.
    ///
    /// Only a digest that has been healthy in the stage before can go. Returns the new deployment.
    ///
    /// - Parameter override: why it goes ahead in a freeze.
    public func promote(
        to place: StageName, release wanted: Int64? = nil, overridingFreeze override: String? = nil, by actor: String
    ) async throws
        -> Deployment
    {
        guard let (release, plan) = try await next(for: place, wanted: wanted) else { throw Self.nothingNext(place) }
        let new = try newDeployment(to: plan, of: release.service, kind: "promotion", by: actor, override: override)
        return try await create(new, of: release.id)
    }

    /// The release that can go to a stage, `wanted` or the newest, with the stage as it stands in it.
    func next(for place: StageName, wanted: Int64?) async throws -> (release: Release, plan: StagePlan)? {
        for release in try await parts.store.releases(project: place.project, limit: 200) where release.pipeline == place.pipeline {
            if let wanted, release.id != wanted { continue }
            guard let plan = try Self.plan(of: place.stage, in: release) else { continue }
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
            return (release, plan)
        }
        return nil
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
        if wanted == nil, let live = succeeded.first, let train = try await rollbackTrain(of: live, by: actor) {
            // The pipeline itself may have stayed as it was.
            return train.first { place.contains($0) } ?? train[0]
        }
        guard let live = succeeded.first, let (release, plan) = try await before(live, in: succeeded, wanted: wanted) else {
            throw EngineError(
                .nothingToRollBackTo, "'\(stage)' of '\(project)' has had no other release",
                hint: "see its history with: slipway status \(project)")
        }
        return try await create(try newDeployment(to: plan, of: release.service, kind: "rollback", by: actor), of: release.id)
    }

    /// The last release in a stage whose instances were not what they are now: another image, or the same with other settings.
    private func before(
        _ live: Deployment, in succeeded: [Deployment], wanted: Int64?
    ) async throws -> (release: Release, plan: StagePlan)? {
        let now = try await release(of: live)
        for deployment in succeeded where deployment.release != live.release && (wanted == nil || deployment.release == wanted) {
            let then = try await release(of: deployment)
            let isOther =
                then.release.digest != now.release.digest || then.release.service != now.release.service
                || then.plan.environment != now.plan.environment || then.plan.replicas != now.plan.replicas
            if isOther { return then }
        }
        return nil
    }

    func release(of deployment: Deployment) async throws -> (release: Release, plan: StagePlan) {
        guard let release = try await parts.store.release(deployment.release),
            let plan = try Self.plan(of: deployment.stage, in: release)
        else { throw EngineError(.unknownStage, "the stage '\(deployment.stage)' is not in the release", hint: "push again") }
        return (release, plan)
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
    public func decide(deployment id: Int64, _ decision: NewDecision) async throws -> DecisionOutcome {
        let outcome = try await parts.store.decide(deployment: id, decision, people: people)
        bell.ring()
        return outcome
    }

    /// Sets a freeze aside for the deployment of a stage that has not begun.
    public func overrideFreeze(_ place: StageName, reason: String, by actor: String) async throws -> Deployment {
        let waiting = try await parts.store.deployments(project: place.project, limit: 200)
            .first { place.contains($0) && ($0.phase == .queued || $0.phase == .awaitingApproval) }
        guard let waiting, try await parts.store.overrideFreeze(deployment: waiting.id, actor: actor, reason: reason) else {
            throw EngineError(
                .notPromotable, "no deployment to '\(place.stage)' of '\(place.project)' waits for a freeze to end",
                hint: "see what it waits for with: slipway why \(place.stage) --project \(place.project)")
        }
        bell.ring()
        return try await parts.store.deployment(waiting.id) ?? waiting
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
