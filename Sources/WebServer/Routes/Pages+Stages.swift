import DeliveryModel
import FoundationEssentials
import OCIModel
import PipelineEngine
import PipelineFile
import StateStore

extension Pages {
    func card(_ stage: StageOverview, project: String, signedIn: Bool) async throws -> StageCard {
        let host = stage.plan.hostName(project: project)
        var card = StageCard(
            stage: stage.plan.name, badge: StateBadge(state: stage.state), host: host,
            hostURL: stage.live == nil ? nil : "http://\(host):\(parts.routerPort)/")
        if let live = stage.live, let release = stage.liveRelease {
            card.current = line(release, since: live.finishedAt ?? live.createdAt)
        }
        if let waiting = stage.waiting, let release = stage.waitingRelease {
            card.pending = try await pending(waiting, release: release, rule: stage.plan.approval, signedIn: signedIn)
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
        return card
    }

    func line(_ release: Release, since: Double) -> ReleaseLine {
        ReleaseLine(
            digest: release.digest.description, commit: release.commit, subject: release.message,
            author: release.author, since: time(since), run: "\(release.run)")
    }

    func pending(
        _ deployment: Deployment, release: Release, rule: ApprovalPlan?, signedIn: Bool
    ) async throws
        -> PendingApproval
    {
        let approvals = try await parts.store.approvals(of: deployment.id)
        let given = approvals.filter { $0.approved && $0.digest == deployment.digest }.count
        let mine = approvals.contains { $0.actor == Access.administrator }
        var rules = rule?.from.isEmpty == false ? ["from \(rule?.from.joined(separator: ", ") ?? "")"] : []
        if rule?.notAuthor == true { rules.append("not the author") }
        return PendingApproval(
            deployment: "\(deployment.id)", release: line(release, since: deployment.createdAt),
            progress: "\(given) of \(deployment.approvalsNeeded) approvals", rule: rules.joined(separator: ", "),
            expires: deployment.expiresAt.map { TimeText(until($0), machine: Date(timeIntervalSince1970: $0).ISO8601Format()) },
            decisions: approvals.map(decision), canDecide: signedIn && !mine,
            refusal: signedIn ? (mine ? "You have decided already." : nil) : "Sign in to decide.")
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
