public import DeliveryModel
import OCIModel
public import StateStore

extension PostgresStore {
    public func decide(deployment id: Int64, _ decision: NewDecision, people: People) async throws -> DecisionOutcome {
        try await write { session in
            // Held: of two who decide at once the second counts the first.
            let found: Deployment? = try session.run("SELECT * FROM deployment WHERE id = \(id) FOR UPDATE").record()
            guard let deployment = found,
                let release: Release = try session.run("SELECT * FROM release WHERE id = \(deployment.release)").record()
            else { return .unknown }
            guard deployment.phase == .awaitingApproval else { return .notWaiting(deployment.phase) }
            let now = try session.time()
            let subject = try session.subject(of: deployment)
            let request = deployment.approvalRequest(of: release, subject: subject, people: people)
            let given: [Approval] = try session.run("SELECT * FROM approval WHERE deployment = \(id)").records()
            let votes = given.map(\.vote)
            let vote = decision.vote(on: subject)
            if let refusal = request.refusal(of: vote, after: votes, at: now) { return .refused(refusal) }
            let actor = decision.actor
            try session.run(
                """
                INSERT INTO approval (deployment, actor, approved, digest, configuration, comment, at)
                VALUES (\(id), \(actor), \(decision.approved), \(subject.digest), \(subject.configuration), \(decision.comment), \(now))
                ON CONFLICT (deployment, actor) DO UPDATE SET approved = excluded.approved, digest = excluded.digest,
                    configuration = excluded.configuration, comment = excluded.comment, at = excluded.at
                """)
            let remark = decision.comment.map { ": \($0)" } ?? ""
            try session.recordEvent(
                project: deployment.project, deployment: id, actor: actor, state: decision.approved ? "approved" : "rejected",
                message: "\(deployment.digest.short) for \(deployment.stage)\(remark)")
            let outcome: DecisionOutcome
            switch request.decision(votes.filter { $0.actor != actor } + [vote], at: now) {
            case .refused:
                try session.run(
                    """
                    UPDATE deployment SET phase = 'rejected', finishedAt = \(now), message = \("rejected by \(actor)\(remark)")
                    WHERE id = \(id)
                    """)
                outcome = .rejected
            case .allowed:
                try session.run("UPDATE deployment SET phase = 'queued' WHERE id = \(id)")
                try session.announce()
                outcome = .approved(remaining: 0)
            case .waiting(let missing, _): outcome = .approved(remaining: missing)
            }
            try session.appendLedger(
                deployment.ledgerEntry(
                    decision.approved ? .approved : .rejected, actor: actor, commit: release.commit, configuration: subject.configuration,
                    remark: decision.comment))
            return outcome
        }
    }

    public func approvals(of deployment: Int64) async throws -> [Approval] {
        try await read { try $0.run("SELECT * FROM approval WHERE deployment = \(deployment) ORDER BY at").records() }
    }

    public func expireApprovals() async throws -> [Int64] {
        // Asked often, and nearly always in vain: no transaction for that.
        let due = try await run(
            "SELECT id FROM deployment WHERE phase = 'awaitingApproval' AND expiresAt <= \(Statement.now)")
        if due.integers.isEmpty { return [] }
        return try await write { session in
            let expired: [Deployment] = try session.run(
                """
                UPDATE deployment SET phase = 'rejected', finishedAt = \(Statement.now), message = 'nobody approved it in time'
                WHERE phase = 'awaitingApproval' AND expiresAt <= \(Statement.now) RETURNING *
                """
            ).records()
            for deployment in expired {
                try session.appendLedger(deployment.ledgerEntry(.expired, actor: "slipway", commit: try session.commit(of: deployment)))
            }
            return expired.map(\.id)
        }
    }

    public func approvalSubject(of id: Int64) async throws -> ApprovalSubject? {
        try await read { session in
            let found: Deployment? = try session.run("SELECT * FROM deployment WHERE id = \(id)").record()
            return try found.map { try session.subject(of: $0) }
        }
    }
}

extension Session {
    /// What approvals of the deployment are bound to now.
    func subject(of deployment: Deployment) throws -> ApprovalSubject {
        guard !deployment.secretNames.isEmpty else { return deployment.approvalSubject(secrets: [:]) }
        return deployment.approvalSubject(secrets: try secrets(project: deployment.project))
    }

    func secrets(project: String) throws -> [String: [UInt8]] {
        var secrets: [String: [UInt8]] = [:]
        for row in try run("SELECT name, sealed FROM secret WHERE project = \(project)").cells {
            if case .text(let name) = row[0], case .bytes(let sealed) = row[1] { secrets[name] = sealed }
        }
        return secrets
    }

    func time() throws -> Double {
        guard case .real(let time)? = try run("SELECT \(Statement.now)").cells.first?.first else {
            throw PostgresFailure(message: "the database did not tell the time")
        }
        return time
    }
}
