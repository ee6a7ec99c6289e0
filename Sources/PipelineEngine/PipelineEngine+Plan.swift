public import DeliveryModel
import GitRepository
import Logging
import OCIModel
import PipelineFile
import StateStore

/// What a promotion to a stage would change.
public struct PromotionPlan: Codable, Hashable, Sendable {
    public struct Commit: Codable, Hashable, Sendable {
        public var id: String
        public var author: String
        public var subject: String
    }

    public var project: String
    public var pipeline: String
    public var stage: String
    public var live: StageFacts.Version?
    public var next: StageFacts.Version
    /// The deployment that waits with it already.
    public var deployment: Int64?
    /// Those that are not live yet, newest first; nil when the repository cannot tell.
    public var commits: [Commit]?
    /// Whether there are more.
    public var hasMore: Bool
    public var changes: [StageSnapshot.Change]
    /// Who has to agree; nil: nobody.
    public var approvals: StageFacts.Approvals?
    public var rule: ApprovalRule?
    /// Nil: it could begin now.
    public var freeze: StageFacts.Freeze?
}

extension PipelineEngine {
    private static let commitLimit = 50

    /// What would change if the release that waits for the stage, or the next that could go there, were deployed now.
    public func plan(for place: StageName) async throws -> PromotionPlan {
        let open = try await parts.store.deployments(project: place.project, limit: 200)
            .first { place.contains($0) && ($0.phase == .awaitingApproval || $0.phase == .queued) }
        let found: (release: Release, plan: StagePlan)?
        if let open, let release = try await parts.store.release(open.release) {
            found = try Self.plan(of: place.stage, in: release).map { (release, $0) }
        } else {
            found = try await next(for: place, wanted: nil)
        }
        guard let (release, stage) = found else { throw Self.nothingNext(place) }
        let live = try await parts.store.liveDeployments(project: place.project).first { place.contains($0) }
        let old = if let live { try await parts.store.release(live.release) } else { Release?.none }
        let oldStage = try old.flatMap { try Self.plan(of: place.stage, in: $0) }
        var before: StageSnapshot?
        if let old, let oldStage {
            before = Self.snapshot(
                oldStage, old.service, project: place.project,
                secrets: { name in
                    live?.secretVersions[name].map { .version($0) } ?? .unknown
                })
        }
        let now = try await parts.store.time()
        let versions = try await parts.store.secrets(project: place.project).mapValues(Configuration.version)
        let after = Self.snapshot(stage, release.service, project: place.project) { name in
            versions[name].map { .version($0) } ?? .missing
        }
        var plan = PromotionPlan(
            project: place.project, pipeline: place.pipeline, stage: place.stage, live: old.map(Self.version), next: Self.version(release),
            deployment: open?.id, hasMore: false,
            changes: after.changes(from: before), rule: stage.approval)
        if let open, open.phase == .awaitingApproval {
            plan.approvals = try await approvals(open, at: now)
        } else if open == nil, let rule = stage.approval {
            plan.approvals = candidates(rule, release, at: now)
        }
        let windows = (stage.freeze ?? []) + settings.governance.freeze
        if case .frozen(let until) = FreezeDecision.at(
            now, windows: windows, isRollback: open?.kind == "rollback", isOverridden: open?.overriddenBy != nil)
        {
            plan.freeze = .init(until: until)
        }
        let commits = try await commits(of: release, since: old)
        plan.commits = commits.map { Array($0.prefix(Self.commitLimit)) }
        plan.hasMore = (commits?.count ?? 0) > Self.commitLimit
        return plan
    }

    /// Who could approve the release, were it to be deployed.
    private func candidates(_ rule: ApprovalRule, _ release: Release, at time: Double) -> StageFacts.Approvals? {
        let request = ApprovalRequest(
            rule: rule, subject: ApprovalSubject(digest: release.digest, configuration: ""), authors: release.authors, people: people)
        guard case .waiting(let missing, let from) = request.decision([], at: time) else { return nil }
        return .init(missing: missing, needed: rule.count, from: from)
    }

    /// Nil when the mirror does not know the commits.
    private func commits(of release: Release, since old: Release?) async throws -> [PromotionPlan.Commit]? {
        if old?.commit == release.commit { return [] }
        do {
            let from = try CommitID(parsing: release.commit)
            let known = try old.map { try CommitID(parsing: $0.commit) }
            // Without anything live there is no end to what is new: the commit itself says enough.
            let found = try await mirror(release.project).log(from: from, excluding: known, limit: known == nil ? 1 : Self.commitLimit + 1)
            return found.map { .init(id: $0.id.hex, author: $0.authorName, subject: String($0.summary.prefix(200))) }
        } catch let error as GitError {
            logger.info("the commits of release \(release.id) cannot be listed: \(error.message)")
            return nil
        }
    }

    private static func snapshot(
        _ stage: StagePlan, _ service: ServiceDefinition, project: String, secrets setting: (String) -> StageSnapshot.Setting
    ) -> StageSnapshot {
        var environment = service.environment.mapValues { StageSnapshot.Variable.value($0) }
        for (name, value) in stage.environment {
            switch value {
            case .literal(let text): environment[name] = .value(text)
            case .secret(let secret): environment[name] = .secret(secret, setting(secret))
            }
        }
        let limits = service.limits
        var facts: [StageSnapshot.Fact] = [
            .init("host", stage.hostName(project: project)), .init("target", stage.target),
            .init("replicas", "\(stage.replicas ?? service.replicas)"), .init("port", service.port.map(String.init) ?? "none"),
            .init("health", "\(service.health.probe), \(service.health.healthy) in a row, \(service.health.grace) s"),
            .init("strategy", (stage.strategy ?? .blueGreen(.init())).summary),
        ]
        if let command = service.command { facts.append(.init("command", command.joined(separator: " "))) }
        if let memory = limits.memoryBytes { facts.append(.init("memory", "\(memory >> 20) MiB")) }
        if let cpus = limits.cpus { facts.append(.init("cpus", "\(cpus)")) }
        if let pids = limits.pids { facts.append(.init("pids", "\(pids)")) }
        if let isolation = service.isolation {
            if !isolation.readOnly { facts.append(.init("read_only", "false")) }
            if !isolation.tmpfs.isEmpty { facts.append(.init("tmpfs", isolation.tmpfs.joined(separator: ", "))) }
            if !isolation.capabilities.isEmpty { facts.append(.init("capabilities", isolation.capabilities.joined(separator: ", "))) }
        }
        if let paths = stage.paths { facts.append(.init("paths", paths.joined(separator: ", ") + (stage.stripPrefix == true ? ", stripped" : ""))) }
        if let legacy = stage.legacy { facts.append(.init("legacy", "\(legacy.address) port \(legacy.port)")) }
        if let drain = stage.drain { facts.append(.init("drain", "\(drain) s")) }
        for (moment, jobs) in [("before", service.jobs?.before), ("after", service.jobs?.after)] {
            for job in jobs ?? [] { facts.append(.init("job \(moment) \(job.name)", job.command.joined(separator: " "))) }
        }
        for cron in service.cron ?? [] {
            facts.append(.init("cron \(cron.job.name)", "\(cron.schedule): \(cron.job.command.joined(separator: " "))"))
        }
        return StageSnapshot(facts: facts, environment: environment)
    }

    static func nothingNext(_ place: StageName) -> EngineError {
        EngineError(
            .notPromotable, "no release of '\(place.project)' can go to '\(place.stage)' yet",
            hint: "see why with: slipway why \(place.stage) --project \(place.project)")
    }
}
