public import DeliveryModel
import OCIModel
public import StateStore

/// What people may do with a deployment that is under way.
extension PipelineEngine {
    /// Where a deployment is; nil when it has not begun, or was carried out before schedules were kept.
    public static func progress(of deployment: Deployment) throws -> RolloutProgress? {
        try deployment.rollout.map { try OCIJSON.decode(RolloutProgress.self, from: Array($0.utf8)) }
    }

    /// How the versions of a deployment compare; nil when they were not compared.
    public static func report(of deployment: Deployment) throws -> RolloutReport? {
        try deployment.report.map { try OCIJSON.decode(RolloutReport.self, from: Array($0.utf8)) }
    }

    /// Ends the deployment that waits or is under way in a stage: what serves goes on serving, or comes back.
    public func abort(_ place: StageName, by actor: String) async throws -> Deployment {
        guard let open = try await open(in: place) else {
            throw EngineError(
                .nothingUnderWay, "nothing is deployed to '\(place.stage)' of '\(place.project)' now",
                hint: "to bring back what was there before: slipway rollback \(place.stage)")
        }
        if open.phase.isActive, try Self.progress(of: open)?.canGoBack != true, open.phase != .preparing {
            throw EngineError(
                .nothingUnderWay, "deployment \(open.id) is \(open.phase.rawValue): it cannot be ended any more",
                hint: "wait until it is over, then: slipway rollback \(place.stage)")
        }
        guard try await parts.store.requestCancel(deployment: open.id, actor: actor, reason: "ended by \(actor)") else {
            throw EngineError(.nothingUnderWay, "deployment \(open.id) is over", hint: "see: slipway status \(place.project)")
        }
        return try await again(open)
    }

    /// Lets the deployment of a stage go on that waits for a person.
    public func resume(_ place: StageName, by actor: String) async throws -> Deployment {
        guard let open = try await open(in: place), let progress = try Self.progress(of: open), progress.waitsForPerson,
            try await parts.store.resume(deployment: open.id, wave: progress.wave, actor: actor)
        else {
            throw EngineError(
                .nothingUnderWay, "no deployment of '\(place.stage)' of '\(place.project)' waits to be let go on",
                hint: "see what is where with: slipway status \(place.project)")
        }
        return try await again(open)
    }

    /// The deployment of a stage that is not over.
    func open(in place: StageName) async throws -> Deployment? {
        let all = try await parts.store.deployments(project: place.project, limit: 200).filter { place.contains($0) && !$0.phase.isTerminal }
        return all.first { $0.phase.isActive } ?? all.first
    }

    private func again(_ deployment: Deployment) async throws -> Deployment {
        bell.ring()
        return try await parts.store.deployment(deployment.id) ?? deployment
    }
}
