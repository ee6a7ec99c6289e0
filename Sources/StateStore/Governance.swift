public import DeliveryModel
import OCIModel

extension Deployment {
    /// Who has to agree, to what.
    ///
    /// - Parameter subject: what its approvals are bound to now.
    public func approvalRequest(of release: Release, subject: ApprovalSubject, people: People) -> ApprovalRequest {
        ApprovalRequest(
            rule: rule ?? release.approvalRule(of: stage) ?? ApprovalRule(count: approvalsNeeded), subject: subject, authors: release.authors,
            expiresAt: expiresAt,
            people: people)
    }

    /// What its approvals are bound to, with the project's sealed secrets as they are.
    public func approvalSubject(secrets: [String: [UInt8]]) -> ApprovalSubject {
        ApprovalSubject(
            digest: digest, configuration: Configuration.digest(base: configuration, secrets: secrets, names: secretNames))
    }

    /// The entry of the ledger for a change of its phase; nil for changes that are not told there.
    public func ledgerKind(from: RolloutPhase) -> LedgerEntry.Kind? {
        switch phase {
        case .succeeded: .succeeded
        case .failed: .failed
        case .reverted: .reverted
        case .cancelled: .cancelled
        default: from == .queued && !phase.isTerminal ? .begun : nil
        }
    }

    public func ledgerEntry(
        _ kind: LedgerEntry.Kind, actor: String, commit: String?, configuration: String? = nil, remark: String? = nil
    ) -> LedgerEntry {
        LedgerEntry(
            kind: kind, actor: actor, project: project, pipeline: pipeline, stage: stage, release: release, deployment: id, commit: commit,
            digest: digest, configuration: configuration, remark: remark)
    }
}

extension Release {
    /// The rule of a stage as it stands in the release, for deployments that were created before they kept their own.
    fileprivate func approvalRule(of stage: String) -> ApprovalRule? {
        struct Stage: Decodable {
            var name: String
            var approval: ApprovalRule?
        }
        let all = try? OCIJSON.decode([Stage].self, from: Array(stages.utf8))
        return all?.first { $0.name == stage }?.approval
    }
}

extension Approval {
    public var vote: ApprovalVote {
        ApprovalVote(actor: actor, approved: approved, subject: ApprovalSubject(digest: digest, configuration: configuration))
    }
}

extension NewDecision {
    /// The vote, for what the person has looked at.
    public func vote(on subject: ApprovalSubject) -> ApprovalVote {
        ApprovalVote(
            actor: actor, approved: approved,
            subject: ApprovalSubject(digest: digest ?? subject.digest, configuration: configuration ?? subject.configuration))
    }
}
