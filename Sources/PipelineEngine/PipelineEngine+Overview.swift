public import DeliveryModel
public import PipelineFile
public import StateStore

/// What is where: a stage, what is live in it, what waits and what is under way.
public struct StageOverview: Sendable {
    public var pipeline: String
    public var plan: StagePlan
    public var live: Deployment?
    public var liveRelease: Release?
    /// Waits for approval.
    public var waiting: Deployment?
    public var waitingRelease: Release?
    /// Under way or queued.
    public var rollout: Deployment?
    public var rolloutRelease: Release?
    /// The last deployment that failed or was taken back, when nothing came after it.
    public var failed: Deployment?
    /// Newer than what is live, and healthy in the stage before.
    public var promotable: Release?
    /// What was live before.
    public var previous: Release?
    /// How many instances it has now, when that follows what they have to do.
    public var scale: Scale?

    /// One word for the stage: `empty`, `live`, `awaitingApproval`, or the phase of the deployment that is under way or came to nothing.
    public var state: String {
        if let rollout { return rollout.phase.rawValue }
        if waiting != nil { return RolloutPhase.awaitingApproval.rawValue }
        if let failed { return failed.phase.rawValue }
        return live == nil ? "empty" : "live"
    }
}

extension PipelineEngine {
    /// The stages of a project, pipeline by pipeline, in the order of the newest release's file.
    public func overview(project: String) async throws -> [StageOverview] {
        let releases = try await parts.store.newestReleases(project: project)
        let deployments = try await parts.store.deployments(project: project, limit: 500)
        let live = try await parts.store.liveDeployments(project: project)
        let scales = try await parts.store.scales()
        var overview: [StageOverview] = []
        for release in releases.sorted(by: { $0.pipeline < $1.pipeline }) {
            let mine = deployments.filter { $0.pipeline == release.pipeline }
            for plan in try Self.stages(of: release) {
                var stage = try await stage(plan, pipeline: release.pipeline, newest: release, live: live, deployments: mine)
                if plan.autoscale != nil {
                    stage.scale = scales.first(where: StageName(project: project, pipeline: release.pipeline, stage: plan.name).contains)
                }
                overview.append(stage)
            }
        }
        return overview
    }

    /// - Parameter deployments: those of the pipeline, newest first.
    private func stage(
        _ plan: StagePlan, pipeline: String, newest: Release, live: [Deployment], deployments: [Deployment]
    ) async throws -> StageOverview {
        func release(of deployment: Deployment?) async throws -> Release? {
            guard let deployment else { return nil }
            return deployment.release == newest.id ? newest : try await parts.store.release(deployment.release)
        }
        let mine = deployments.filter { $0.stage == plan.name }
        var stage = StageOverview(pipeline: pipeline, plan: plan)
        stage.live = live.first { $0.pipeline == pipeline && $0.stage == plan.name }
        stage.liveRelease = try await release(of: stage.live)
        stage.waiting = mine.first { $0.phase == .awaitingApproval }
        stage.waitingRelease = try await release(of: stage.waiting)
        stage.rollout = mine.first { !$0.phase.isTerminal && $0.phase != .awaitingApproval }
        stage.rolloutRelease = try await release(of: stage.rollout)
        if let last = mine.first, [.failed, .reverted, .cancelled].contains(last.phase) { stage.failed = last }
        if let before = plan.after, stage.waiting == nil, stage.rollout == nil {
            let candidate = deployments.first { $0.stage == before && $0.phase == .succeeded }
            if let candidate, candidate.digest != stage.live?.digest { stage.promotable = try await release(of: candidate) }
        } else if plan.after == nil, !plan.promotesAtOnce, !mine.contains(where: { $0.release == newest.id }) {
            stage.promotable = newest
        }
        if let live = stage.live, stage.rollout == nil {
            stage.previous = try await release(of: mine.first { $0.phase == .succeeded && $0.id < live.id && $0.digest != live.digest })
        }
        return stage
    }
}
