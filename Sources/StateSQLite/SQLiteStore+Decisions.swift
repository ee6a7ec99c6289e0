import DeliveryModel
import FoundationEssentials
import GRDB
import OCIModel
public import StateStore

extension SQLiteStore {
    public func decide(
        deployment id: Int64, actor: String, approved: Bool, comment: String?
    ) async throws -> DecisionOutcome {
        let now = clock()
        return try await write { db in
            guard
                let deployment = try Deployment.fetchOne(
                    db, sql: "SELECT * FROM deployment WHERE id = ?", arguments: [id])
            else { return .unknown }
            guard deployment.phase == .awaitingApproval else { return .notWaiting(deployment.phase) }
            try db.execute(
                sql: """
                    INSERT INTO approval (deployment, actor, approved, digest, comment, at) VALUES (?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO NOTHING
                    """, arguments: [id, actor, approved, deployment.digest.description, comment, now])
            if db.changesCount == 0 { return .alreadyDecided }
            let given =
                try Int.fetchOne(
                    db, sql: "SELECT count(*) FROM approval WHERE deployment = ? AND approved AND digest = ?",
                    arguments: [id, deployment.digest.description]) ?? 0
            let remaining = max(0, deployment.approvalsNeeded - given)
            let remark = comment.map { ": \($0)" } ?? ""
            try recordEvent(
                db, at: now, project: deployment.project, deployment: id, actor: actor,
                state: approved ? "approved" : "rejected", message: "\(deployment.digest.short) for \(deployment.stage)\(remark)")
            if !approved {
                try db.execute(
                    sql: "UPDATE deployment SET phase = 'rejected', finishedAt = ?, message = ? WHERE id = ?",
                    arguments: [now, "rejected by \(actor)\(remark)", id])
                return .rejected
            }
            if remaining == 0 {
                try db.execute(sql: "UPDATE deployment SET phase = 'queued' WHERE id = ?", arguments: [id])
            }
            return .approved(remaining: remaining)
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
            try Int64.fetchAll(
                db,
                sql: """
                    UPDATE deployment SET phase = 'rejected', finishedAt = :now,
                        message = 'nobody approved it in time'
                    WHERE phase = 'awaitingApproval' AND phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded')
                      AND expiresAt <= :now RETURNING id
                    """, arguments: ["now": now])
        }
    }

    public func releaseLeases(holder: String, orderly: Bool) async throws {
        try await write { db in
            if orderly {
                try db.execute(
                    sql: "UPDATE run SET starts = 0 WHERE holder = ? AND state = 'running' AND state IN ('queued', 'running')",
                    arguments: [holder])
                try db.execute(sql: "UPDATE delivery SET starts = 0 WHERE holder = ? AND state = 'received'", arguments: [holder])
            }
            for (table, isOpen) in Self.leased {
                try db.execute(sql: "UPDATE \(table) SET leaseExpiresAt = 0 WHERE holder = ? AND \(isOpen)", arguments: [holder])
            }
        }
    }

    /// What can be held, and when it can: as the index of what is open has it, word for word, so that SQLite sees it.
    static let leased = [
        ("run", "state IN ('queued', 'running')"), ("deployment", "phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded')"),
        ("outboxMessage", "state = 'waiting'"), ("delivery", "state = 'received'"), ("lease", "TRUE"),
    ]

    public func record(project: String, run: Int64?, deployment: Int64?, actor: String, message: String) async throws {
        let now = clock()
        try await write {
            try recordEvent(
                $0, at: now, project: project, run: run, deployment: deployment, actor: actor, message: message)
        }
    }

    public func events(project: String?, run: Int64?, deployment: Int64?, limit: Int) async throws -> [RecordedEvent] {
        // Only with the conditions that are asked for can an index be used.
        let wanted = [("project", project?.databaseValue), ("run", run?.databaseValue), ("deployment", deployment?.databaseValue)]
            .compactMap { column, value in value.map { (column, $0) } }
        let filter = wanted.isEmpty ? "" : "WHERE " + wanted.map { "\($0.0) = ?" }.joined(separator: " AND ")
        let arguments = StatementArguments(wanted.map(\.1)) + [limit]
        return try await read {
            try RecordedEvent.fetchAll($0, sql: "SELECT * FROM event \(filter) ORDER BY id DESC LIMIT ?", arguments: arguments)
        }
    }

    public func setSecret(_ name: String, project: String, sealed: [UInt8]) async throws {
        try await write {
            try $0.execute(
                sql: """
                    INSERT INTO secret (project, name, sealed) VALUES (?, ?, ?)
                    ON CONFLICT (project, name) DO UPDATE SET sealed = excluded.sealed
                    """, arguments: [project, name, Data(sealed)])
        }
    }

    public func secrets(project: String) async throws -> [String: [UInt8]] {
        try await read { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT name, sealed FROM secret WHERE project = ?", arguments: [project])
            var secrets: [String: [UInt8]] = [:]
            for row in rows {
                let sealed: Data = row["sealed"]
                secrets[row["name"]] = Array(sealed)
            }
            return secrets
        }
    }

    public func removeSecret(_ name: String, project: String) async throws -> Bool {
        try await write { db in
            try db.execute(sql: "DELETE FROM secret WHERE project = ? AND name = ?", arguments: [project, name])
            return db.changesCount > 0
        }
    }
}
