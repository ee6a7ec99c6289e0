import DeliveryModel
import FoundationEssentials
import OCIModel
import PipelineEngine
import PipelineFile
import StateStore

extension Pages {
    func card(_ stage: StageOverview, project: String, caller: Caller?) async throws -> StageCard {
        let signedIn = caller?.mayDeploy ?? false
        let host = stage.plan.place(project: project)
        var card = StageCard(
            stage: stage.plan.name, badge: StateBadge(state: stage.state), host: host.isEmpty ? nil : host,
            hostURL: stage.live == nil || host.isEmpty ? nil : PageURL.service(host, port: parts.routerPort))
        if let live = stage.live, let release = stage.liveRelease {
            card.current = line(release, since: live.finishedAt ?? live.createdAt)
        }
        card.scale = stage.scale?.sentence
        if let waiting = stage.waiting, let release = stage.waitingRelease {
            card.pending = try await pending(waiting, release: release, rule: stage.plan.approval, caller: caller)
        }
        if let rollout = stage.rollout, let release = stage.rolloutRelease {
            card.rollout = RolloutLine(
                badge: StateBadge(state: rollout.phase.rawValue), message: rollout.message ?? "",
                release: line(release, since: rollout.createdAt))
            card.rollout?.waves = try rolloutPanel(rollout, signedIn: signedIn)
        } else if let failed = stage.failed, let release = try await parts.store.release(failed.release) {
            card.rollout = RolloutLine(
                badge: StateBadge(state: failed.phase.rawValue), message: failed.message ?? "",
                release: line(release, since: failed.finishedAt ?? failed.createdAt))
        }
        if signedIn, let release = stage.promotable {
            card.promote = PromoteForm(
                project: project, pipeline: stage.pipeline, stage: stage.plan.name, releaseID: "\(release.id)",
                release: line(release, since: release.createdAt))
        }
        if signedIn, let release = stage.previous {
            card.rollback = RollbackForm(
                project: project, pipeline: stage.pipeline, stage: stage.plan.name, releaseID: "\(release.id)",
                release: line(release, since: release.createdAt))
        }
        let facts = try await parts.engine.facts(of: stage, project: project)
        // A deployment that has begun, failed or waits for somebody speaks for itself.
        if facts.isBehind, card.pending == nil, card.rollout == nil || stage.rollout?.phase == .queued { card.why = facts.obstacle }
        if stage.promotable != nil || stage.waiting != nil || stage.rollout?.phase == .queued {
            card.planURL = PageURL.plan(for: stage.plan.name, of: project, pipeline: stage.pipeline)
        }
        return card
    }

    func line(_ release: Release, since: Double) -> ReleaseLine {
        ReleaseLine(
            digest: release.digest.description, commit: release.commit, subject: release.message,
            author: release.author, since: time(since), run: "\(release.run)")
    }

    func pending(
        _ deployment: Deployment, release: Release, rule: ApprovalRule?, caller: Caller?
    ) async throws
        -> PendingApproval
    {
        let approvals = try await parts.store.approvals(of: deployment.id)
        let subject = try await parts.store.approvalSubject(of: deployment.id) ?? ApprovalSubject(digest: deployment.digest, configuration: "")
        let request = deployment.approvalRequest(of: release, subject: subject, people: parts.engine.people)
        let now = parts.access.clock()
        let votes = approvals.map(\.vote)
        var rules = rule?.from.isEmpty == false ? ["from \(rule?.from.joined(separator: ", ") ?? "")"] : []
        if rule?.notAuthor == true { rules.append("not the author") }
        var missing = 0
        if case .waiting(let more, let people) = request.decision(votes, at: now) {
            missing = more
            if !people.isEmpty { rules.append("may come from \(people.prefix(10).joined(separator: ", "))") }
        }
        let refusal = caller.map { caller in
            caller.mayDeploy
                ? request.refusal(of: ApprovalVote(actor: caller.name, approved: true, subject: subject), after: votes, at: now)?.reason
                : "Your token is for looking only."
        }
        return PendingApproval(
            deployment: "\(deployment.id)", release: line(release, since: deployment.createdAt),
            progress: "\(max(0, deployment.approvalsNeeded - missing)) of \(deployment.approvalsNeeded) approvals",
            rule: rules.joined(separator: ", "),
            expires: deployment.expiresAt.map { TimeText(until($0), machine: Date(timeIntervalSince1970: $0).ISO8601Format()) },
            decisions: approvals.map(decision), canDecide: caller != nil && refusal == .some(.none),
            refusal: caller == nil ? "Sign in to decide." : refusal ?? nil, digest: subject.digest.description,
            configuration: subject.configuration)
    }

    func decision(_ approval: Approval) -> Decision {
        Decision(
            who: approval.actor, verdict: StateBadge(state: approval.approved ? "approved" : "rejected"),
            comment: approval.comment,
            at: time(approval.at))
    }

    private func until(_ moment: Double) -> String {
        "in \(durationText(moment - parts.access.clock()))"
    }
}
