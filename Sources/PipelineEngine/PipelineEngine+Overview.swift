import DeliveryModel
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
    /// The last deployment that failed, when nothing came after it.
    public var failed: Deployment?
    /// Newer than what is live, and healthy in the stage before.
    public var promotable: Release?
    /// What was live before.
    public var previous: Release?

    /// One word for the stage: `empty`, `live`, `awaitingApproval`, a rollout phase, or `failed`.
    public var state: String {
        if let rollout { return rollout.phase.rawValue }
        if waiting != nil { return RolloutPhase.awaitingApproval.rawValue }
        if failed != nil { return RolloutPhase.failed.rawValue }
        return live == nil ? "empty" : "live"
    }
}

extension PipelineEngine {
    /// The stages of a project, pipeline by pipeline, in the order of the newest release's file.
    public func overview(project: String) async throws -> [StageOverview] {
        let releases = try await parts.store.releases(project: project, limit: 200)
        let deployments = try await parts.store.deployments(project: project, limit: 500)
        let live = try await parts.store.liveDeployments(project: project)
        var known = Dictionary(releases.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for deployment in live where known[deployment.release] == nil {
            known[deployment.release] = try await parts.store.release(deployment.release)
        }
        var newest: [String: Release] = [:]
        for release in releases where newest[release.pipeline] == nil { newest[release.pipeline] = release }
        var overview: [StageOverview] = []
        for pipeline in newest.keys.sorted() {
            guard let release = newest[pipeline] else { continue }
            for plan in try Self.stages(of: release) {
                overview.append(
                    Self.stage(
                        plan, pipeline: pipeline, known: known, live: live,
                        deployments: deployments.filter { $0.pipeline == pipeline }))
            }
        }
        return overview
    }

    /// - Parameter deployments: those of the pipeline, newest first.
    private static func stage(
        _ plan: StagePlan, pipeline: String, known: [Int64: Release], live: [Deployment], deployments: [Deployment]
    ) -> StageOverview {
        let mine = deployments.filter { $0.stage == plan.name }
        var stage = StageOverview(pipeline: pipeline, plan: plan)
        stage.live = live.first { $0.pipeline == pipeline && $0.stage == plan.name }
        stage.liveRelease = stage.live.flatMap { known[$0.release] }
        stage.waiting = mine.first { $0.phase == .awaitingApproval }
        stage.waitingRelease = stage.waiting.flatMap { known[$0.release] }
        stage.rollout = mine.first { !$0.phase.isTerminal && $0.phase != .awaitingApproval }
        stage.rolloutRelease = stage.rollout.flatMap { known[$0.release] }
        if let last = mine.first, last.phase == .failed { stage.failed = last }
        if let before = plan.after, stage.waiting == nil, stage.rollout == nil {
            let candidate = deployments.first { $0.stage == before && $0.phase == .succeeded }
            if let candidate, candidate.digest != stage.live?.digest { stage.promotable = known[candidate.release] }
        }
        if let live = stage.live, stage.rollout == nil {
            let earlier = mine.first { $0.phase == .succeeded && $0.id < live.id && $0.digest != live.digest }
            stage.previous = earlier.flatMap { known[$0.release] }
        }
        return stage
    }
}
