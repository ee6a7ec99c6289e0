public import DeliveryModel
import OCIModel
import PipelineFile
import StateStore

extension PipelineEngine {
    /// What is known of a stage: what is live there, and what keeps something newer from it.
    public func facts(of stage: StageOverview, project: String) async throws -> StageFacts {
        let now = try await parts.store.time()
        let place = StageName(project: project, pipeline: stage.pipeline, stage: stage.plan.name)
        let deployments = try await parts.store.deployments(project: project, limit: 200).filter { place.contains($0) }
        var facts = StageFacts(stage: stage.plan.name, live: stage.liveRelease.map(Self.version))
        let open = deployments.filter { !$0.phase.isTerminal }
        let moving = open.first { $0.phase != .queued && $0.phase != .awaitingApproval }
        for deployment in open {
            guard var attempt = try await attempt(deployment) else { continue }
            if deployment.phase == .awaitingApproval { attempt.approvals = try await approvals(deployment, at: now) }
            if deployment.phase == .queued {
                attempt.behind = moving?.id
                if case .frozen(let until) = freeze(of: deployment, [stage.plan], at: now) {
                    attempt.freeze = .init(until: until)
                }
                // Said of the freeze, it is told by the freeze itself.
                else if deployment.train == nil, let reason = deployment.heldFor, !reason.hasPrefix("frozen") {
                    attempt.waitsFor = reason
                }
            }
            facts.attempts.append(attempt)
        }
        if let last = deployments.first, last.phase.isTerminal, last.phase != .succeeded {
            if last.phase == .failed { facts.failed = try await attempt(last) } else { facts.ended = try await attempt(last) }
        }
        facts.after = stage.plan.after
        if let release = stage.promotable { facts.candidate = try await candidate(release, stage) }
        facts.run = try await lastRun(place, live: stage.live, open: open)
        return facts
    }

    static func version(_ release: Release) -> StageFacts.Version {
        .init(release: release.id, digest: release.digest.description, commit: release.commit, subject: release.message)
    }

    private func attempt(_ deployment: Deployment) async throws -> StageFacts.Attempt? {
        guard let release = try await parts.store.release(deployment.release) else { return nil }
        return .init(deployment: deployment.id, phase: deployment.phase, version: Self.version(release), message: deployment.message)
    }

    /// Where its approvals stand.
    func approvals(_ deployment: Deployment, at time: Double) async throws -> StageFacts.Approvals? {
        guard let release = try await parts.store.release(deployment.release),
            let subject = try await parts.store.approvalSubject(of: deployment.id)
        else { return nil }
        let votes = try await parts.store.approvals(of: deployment.id).map(\.vote)
        let request = deployment.approvalRequest(of: release, subject: subject, people: people)
        guard case .waiting(let missing, let from) = request.decision(votes, at: time) else { return nil }
        return .init(missing: missing, needed: deployment.approvalsNeeded, from: from, expiresAt: deployment.expiresAt)
    }

    private func candidate(_ release: Release, _ stage: StageOverview) async throws -> StageFacts.Candidate {
        let before = stage.plan.after
        var candidate = StageFacts.Candidate(version: Self.version(release), before: before)
        let deployments = try await parts.store.deployments(ofRelease: release.id)
        // It has been here: the rule brings nothing twice.
        guard !deployments.contains(where: { $0.stage == stage.plan.name }),
            let since = before == nil
                ? release.createdAt : deployments.last(where: { $0.stage == before && $0.phase == .succeeded })?.finishedAt
        else { return candidate }
        switch try await ruleDecision(stage.plan, release, since: since) {
        case .now: break
        case .later(let moment): candidate.comesAt = moment
        case .waiting(let what): candidate.waitsFor = what
        }
        return candidate
    }

    private func lastRun(_ place: StageName, live: Deployment?, open: [Deployment]) async throws -> StageFacts.LastRun? {
        let runs = try await parts.store.runs(project: place.project, limit: 100)
        guard let run = runs.first(where: { $0.pipeline == place.pipeline && $0.event != "pull_request" }) else { return nil }
        let release = try await parts.store.release(ofRun: run.id)
        let known = Set(open.map(\.release) + [live?.release].compactMap { $0 })
        return .init(
            id: run.id, state: run.state, commit: run.commit, problem: run.error, isCurrent: release.map { known.contains($0.id) } ?? false)
    }
}
