public import DeliveryModel
import FoundationEssentials
import GRDB
import OCIModel
public import StateStore

extension SQLiteStore {
    public func decide(deployment id: Int64, _ decision: NewDecision, people: People) async throws -> DecisionOutcome {
        let now = clock()
        return try await write { db in
            guard let deployment = try Deployment.fetchOne(db, sql: "SELECT * FROM deployment WHERE id = ?", arguments: [id]),
                let release = try Release.fetchOne(db, sql: "SELECT * FROM release WHERE id = ?", arguments: [deployment.release])
            else { return .unknown }
            guard deployment.phase == .awaitingApproval else { return .notWaiting(deployment.phase) }
            let subject = try Self.subject(of: deployment, db)
            let request = deployment.approvalRequest(of: release, subject: subject, people: people)
            let votes = try Approval.fetchAll(db, sql: "SELECT * FROM approval WHERE deployment = ?", arguments: [id]).map(\.vote)
            let vote = decision.vote(on: subject)
            if let refusal = request.refusal(of: vote, after: votes, at: now) { return .refused(refusal) }
            let actor = decision.actor
            try db.execute(
                sql: """
                    INSERT INTO approval (deployment, actor, approved, digest, configuration, comment, at) VALUES (?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (deployment, actor) DO UPDATE SET approved = excluded.approved, digest = excluded.digest,
                        configuration = excluded.configuration, comment = excluded.comment, at = excluded.at
                    """,
                arguments: [id, actor, decision.approved, subject.digest.description, subject.configuration, decision.comment, now])
            let remark = decision.comment.map { ": \($0)" } ?? ""
            try recordEvent(
                db, at: now, project: deployment.project, deployment: id, actor: actor,
                state: decision.approved ? "approved" : "rejected", message: "\(deployment.digest.short) for \(deployment.stage)\(remark)")
            try appendLedger(
                db, at: now,
                deployment.ledgerEntry(
                    decision.approved ? .approved : .rejected, actor: actor, commit: release.commit, configuration: subject.configuration,
                    remark: decision.comment))
            switch request.decision(votes.filter { $0.actor != actor } + [vote], at: now) {
            case .refused:
                try db.execute(
                    sql: "UPDATE deployment SET phase = 'rejected', finishedAt = ?, message = ? WHERE id = ?",
                    arguments: [now, "rejected by \(actor)\(remark)", id])
                return .rejected
            case .allowed:
                try db.execute(sql: "UPDATE deployment SET phase = 'queued' WHERE id = ?", arguments: [id])
                return .approved(remaining: 0)
            case .waiting(let missing, _): return .approved(remaining: missing)
            }
        }
    }

    public func approvals(of deployment: Int64) async throws -> [Approval] {
        try await read {
            try Approval.fetchAll(
                $0, sql: "SELECT * FROM approval WHERE deployment = ? ORDER BY at", arguments: [deployment])
        }
    }

    public func expireApprovals() async throws -> [Int64] {
        let now = clock()
        return try await write { db in
            let expired = try Deployment.fetchAll(
                db,
                sql: """
                    UPDATE deployment SET phase = 'rejected', finishedAt = :now,
                        message = 'nobody approved it in time'
                    WHERE phase = 'awaitingApproval' AND phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded')
                      AND expiresAt <= :now RETURNING *
                    """, arguments: ["now": now])
            for deployment in expired {
                try appendLedger(db, at: now, deployment.ledgerEntry(.expired, actor: "slipway", commit: try commit(of: deployment, db)))
            }
            return expired.map(\.id)
        }
    }

    public func approvalSubject(of id: Int64) async throws -> ApprovalSubject? {
        try await read { db in
            try Deployment.fetchOne(db, sql: "SELECT * FROM deployment WHERE id = ?", arguments: [id]).map { try Self.subject(of: $0, db) }
        }
    }

    private static func subject(of deployment: Deployment, _ db: GRDB.Database) throws -> ApprovalSubject {
        guard !deployment.secretNames.isEmpty else { return deployment.approvalSubject(secrets: [:]) }
        var secrets: [String: [UInt8]] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT name, sealed FROM secret WHERE project = ?", arguments: [deployment.project]) {
            secrets[row["name"]] = Array(row["sealed"] as Data)
        }
        return deployment.approvalSubject(secrets: secrets)
    }
}
