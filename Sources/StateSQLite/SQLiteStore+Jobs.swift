import DeliveryModel
import GRDB
import OCIModel
public import StateStore

extension SQLiteStore {
    public func createJob(_ new: NewJob) async throws -> JobCreation {
        let now = clock()
        return try await write { db in
            if let cause = new.cause, let id = try Int64.fetchOne(db, sql: "SELECT id FROM job WHERE cause = ?", arguments: [cause]) {
                return .exists(id)
            }
            guard let deployment = try Deployment.fetchOne(db, sql: "SELECT * FROM deployment WHERE id = ?", arguments: [new.deployment]),
                new.epoch == nil || deployment.epoch == new.epoch && !deployment.phase.isTerminal
            else { return .refused }
            let open =
                new.isAlone
                ? try Int64.fetchOne(
                    db,
                    sql: """
                        SELECT max(id) FROM job WHERE finishedAt IS NULL AND +project = ? AND +pipeline = ? AND +stage = ? AND name = ?
                          AND kind IN ('cron', 'manual')
                        """, arguments: [deployment.project, deployment.pipeline, deployment.stage, new.job.name]) : nil
            try db.execute(
                sql: """
                    INSERT INTO job (cause, project, pipeline, stage, deployment, digest, kind, name, command, timeout, limits, actor,
                        scheduledFor, state, message, createdAt, finishedAt)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    new.cause, deployment.project, deployment.pipeline, deployment.stage, deployment.id, deployment.digest.description,
                    new.kind.rawValue, new.job.name, String(decoding: try OCIJSON.encode(new.job.command), as: UTF8.self), new.job.timeout,
                    try new.job.limits.map { String(decoding: try OCIJSON.encode($0), as: UTF8.self) }, new.actor, new.scheduledFor,
                    (open == nil ? JobState.queued : .skipped).rawValue, open.map(NewJob.overlap(with:)), now, open.map { _ in now },
                ])
            let id = db.lastInsertedRowID
            if open == nil, let remark = new.remark {
                try appendLedger(
                    db, at: now, deployment.ledgerEntry(.command, actor: new.actor, commit: try commit(of: deployment, db), remark: remark))
            }
            return .created(id)
        }
    }

    public func job(_ id: Int64) async throws -> Job? {
        try await read { try Job.fetchOne($0, sql: "SELECT * FROM job WHERE id = ?", arguments: [id]) }
    }

    public func job(cause: String) async throws -> Job? {
        try await read { try Job.fetchOne($0, sql: "SELECT * FROM job WHERE cause = ?", arguments: [cause]) }
    }

    public func jobs(_ filter: JobFilter, limit: Int) async throws -> [Job] {
        // Only with the conditions that are asked for can an index be used.
        let wanted = [
            ("project", filter.project?.databaseValue), ("pipeline", filter.pipeline?.databaseValue),
            ("stage", filter.stage?.databaseValue), ("deployment", filter.deployment?.databaseValue),
        ].compactMap { column, value in value.map { (column, $0) } }
        var conditions = wanted.map { "\($0.0) = ?" }
        if let kinds = filter.kinds { conditions.append("kind IN (\(kinds.map { "'\($0.rawValue)'" }.joined(separator: ", ")))") }
        let condition = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        let arguments = StatementArguments(wanted.map(\.1)) + [limit]
        return try await read { try Job.fetchAll($0, sql: "SELECT * FROM job \(condition) ORDER BY id DESC LIMIT ?", arguments: arguments) }
    }

    public func schedules(project: String, pipeline: String, stage: String) async throws -> [String: Double] {
        try await read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT name, max(scheduledFor) AS last FROM job
                    WHERE project = ? AND pipeline = ? AND stage = ? AND kind = 'cron' GROUP BY name
                    """, arguments: [project, pipeline, stage])
            return Dictionary(rows.map { ($0["name"], $0["last"]) }, uniquingKeysWith: { first, _ in first })
        }
    }

    public func removeJobs(endedBefore time: Double) async throws {
        try await write {
            try $0.execute(
                sql: """
                    DELETE FROM job WHERE finishedAt < ? AND kind IN ('cron', 'manual', 'exec') AND id NOT IN (
                        SELECT max(id) FROM job WHERE kind = 'cron' GROUP BY project, pipeline, stage, name)
                    """, arguments: [time])
        }
    }

    public func claimJob(holder: String, leaseSeconds: Double) async throws -> Job? {
        let now = clock()
        return try await write { db in
            try Job.fetchOne(
                db,
                sql: """
                    UPDATE job SET epoch = epoch + 1, holder = :holder, leaseExpiresAt = :expires
                    WHERE id = (SELECT id FROM job WHERE finishedAt IS NULL AND leaseExpiresAt <= :now ORDER BY id LIMIT 1)
                    RETURNING *
                    """, arguments: ["holder": holder, "expires": now + leaseSeconds, "now": now])
        }
    }

    public func renewJob(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        let expires = clock() + leaseSeconds
        return try await write { db in
            try db.execute(
                sql: "UPDATE job SET leaseExpiresAt = ? WHERE id = ? AND epoch = ? AND finishedAt IS NULL", arguments: [expires, id, epoch])
            return db.changesCount > 0
        }
    }

    public func advanceJob(_ id: Int64, epoch: Int64, by change: JobChange) async throws -> Bool {
        let now = clock()
        return try await write { db in
            try db.execute(
                sql: """
                    UPDATE job SET state = :to, endsAs = coalesce(:endsAs, endsAs), exitCode = coalesce(:exitCode, exitCode),
                        message = coalesce(:message, message), logTail = coalesce(:tail, logTail),
                        startedAt = CASE WHEN :starts THEN :now ELSE startedAt END,
                        finishedAt = CASE WHEN :terminal THEN :now ELSE NULL END,
                        leaseExpiresAt = CASE WHEN :terminal THEN 0 ELSE leaseExpiresAt END
                    WHERE id = :id AND epoch = :epoch AND state = :from
                    """,
                arguments: [
                    "to": change.to.rawValue, "endsAs": change.endsAs?.rawValue, "exitCode": change.exitCode, "message": change.message,
                    "tail": change.logTail, "starts": change.to == .starting, "terminal": change.to.isTerminal, "now": now, "id": id,
                    "epoch": epoch, "from": change.from.rawValue,
                ])
            return db.changesCount > 0
        }
    }

    public func requestCancel(job id: Int64, actor: String) async throws -> Bool {
        let now = clock()
        return try await write { db in
            try db.execute(
                sql: """
                    UPDATE job SET cancelledBy = coalesce(cancelledBy, :actor),
                        message = CASE WHEN state = 'queued' THEN 'cancelled by ' || :actor ELSE message END,
                        finishedAt = CASE WHEN state = 'queued' THEN :now END,
                        state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
                    WHERE id = :id AND finishedAt IS NULL
                    """, arguments: ["actor": actor, "now": now, "id": id])
            return db.changesCount > 0
        }
    }
}
