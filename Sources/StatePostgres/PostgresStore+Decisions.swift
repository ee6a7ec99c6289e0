import DeliveryModel
import OCIModel
public import StateStore

extension PostgresStore {
    public func decide(
        deployment id: Int64, actor: String, approved: Bool, comment: String?
    ) async throws -> DecisionOutcome {
        try await write { session in
            // Held: of two who decide at once the second counts the first.
            let found: Deployment? = try session.run("SELECT * FROM deployment WHERE id = \(id) FOR UPDATE").record()
            guard let deployment = found else { return .unknown }
            guard deployment.phase == .awaitingApproval else { return .notWaiting(deployment.phase) }
            let inserted = try session.run(
                """
                INSERT INTO approval (deployment, actor, approved, digest, comment, at)
                VALUES (\(id), \(actor), \(approved), \(deployment.digest), \(comment), \(Statement.now))
                ON CONFLICT DO NOTHING
                """)
            if inserted.changed == 0 { return .alreadyDecided }
            let given = try session.run(
                "SELECT count(*) FROM approval WHERE deployment = \(id) AND approved AND digest = \(deployment.digest)")
            let remaining = max(0, deployment.approvalsNeeded - Int(given.integers.first ?? 0))
            let remark = comment.map { ": \($0)" } ?? ""
            try session.recordEvent(
                project: deployment.project, deployment: id, actor: actor, state: approved ? "approved" : "rejected",
                message: "\(deployment.digest.short) for \(deployment.stage)\(remark)")
            if !approved {
                try session.run(
                    """
                    UPDATE deployment SET phase = 'rejected', finishedAt = \(Statement.now),
                        message = \("rejected by \(actor)\(remark)")
                    WHERE id = \(id)
                    """)
                return .rejected
            }
            if remaining == 0 {
                try session.run("UPDATE deployment SET phase = 'queued' WHERE id = \(id)")
                try session.announce()
            }
            return .approved(remaining: remaining)
        }
    }

    public func approvals(of deployment: Int64) async throws -> [Approval] {
        try await read { try $0.run("SELECT * FROM approval WHERE deployment = \(deployment) ORDER BY at").records() }
    }

    public func expireApprovals() async throws -> [Int64] {
        try await run(
            """
            UPDATE deployment SET phase = 'rejected', finishedAt = \(Statement.now), message = 'nobody approved it in time'
            WHERE phase = 'awaitingApproval' AND expiresAt <= \(Statement.now) RETURNING id
            """
        ).integers
    }

    public func releaseLeases(holder: String, orderly: Bool) async throws {
        try await write { session in
            if orderly {
                try session.run("UPDATE run SET starts = 0 WHERE holder = \(holder) AND state = 'running'")
                try session.run("UPDATE delivery SET starts = 0 WHERE holder = \(holder) AND state = 'received'")
            }
            try session.run("UPDATE outboxMessage SET leaseExpiresAt = 0 WHERE holder = \(holder)")
            try session.run("UPDATE delivery SET leaseExpiresAt = 0 WHERE holder = \(holder)")
            try session.run("UPDATE run SET leaseExpiresAt = 0 WHERE holder = \(holder)")
            try session.run("UPDATE deployment SET leaseExpiresAt = 0 WHERE holder = \(holder)")
            try session.run("UPDATE lease SET leaseExpiresAt = 0 WHERE holder = \(holder)")
            try session.announce()
        }
    }

    public func record(project: String, run: Int64?, deployment: Int64?, actor: String, message: String) async throws {
        try await write {
            try $0.recordEvent(project: project, run: run, deployment: deployment, actor: actor, message: message)
        }
    }

    public func events(project: String?, run: Int64?, deployment: Int64?, limit: Int) async throws -> [RecordedEvent] {
        try await read {
            try $0.run(
                """
                SELECT * FROM event WHERE (\(project) IS NULL OR project = \(project))
                  AND (\(run) IS NULL OR run = \(run)) AND (\(deployment) IS NULL OR deployment = \(deployment))
                ORDER BY id DESC LIMIT \(limit)
                """
            ).records()
        }
    }

    public func setSecret(_ name: String, project: String, sealed: [UInt8]) async throws {
        try await run(
            """
            INSERT INTO secret (project, name, sealed) VALUES (\(project), \(name), \(sealed))
            ON CONFLICT (project, name) DO UPDATE SET sealed = excluded.sealed
            """)
    }

    public func secrets(project: String) async throws -> [String: [UInt8]] {
        try await read { session in
            var secrets: [String: [UInt8]] = [:]
            for row in try session.run("SELECT name, sealed FROM secret WHERE project = \(project)").cells {
                if case .text(let name) = row[0], case .bytes(let sealed) = row[1] { secrets[name] = sealed }
            }
            return secrets
        }
    }

    public func removeSecret(_ name: String, project: String) async throws -> Bool {
        try await run("DELETE FROM secret WHERE project = \(project) AND name = \(name)").changed > 0
    }
}
