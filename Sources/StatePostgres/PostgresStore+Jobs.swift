import DeliveryModel
import OCIModel
public import StateStore

extension PostgresStore {
    public func createJob(_ new: NewJob) async throws -> JobCreation {
        let command = String(decoding: try OCIJSON.encode(new.job.command), as: UTF8.self)
        let limits = try new.job.limits.map { String(decoding: try OCIJSON.encode($0), as: UTF8.self) }
        return try await write { session in
            // Held: of two that are created at once for one stage, the second sees the first. Whoever takes the deployment over waits.
            guard
                let deployment: Deployment = try session.run("SELECT * FROM deployment WHERE id = \(new.deployment) FOR NO KEY UPDATE").record()
            else { return .refused }
            if let cause = new.cause, let id = try session.run("SELECT id FROM job WHERE cause = \(cause)").integers.first { return .exists(id) }
            guard new.epoch == nil || deployment.epoch == new.epoch && !deployment.phase.isTerminal else { return .refused }
            let open =
                new.isAlone
                ? try session.run(
                    """
                    SELECT id FROM job WHERE finishedAt IS NULL AND project = \(deployment.project) AND pipeline = \(deployment.pipeline)
                      AND stage = \(deployment.stage) AND name = \(new.job.name) AND kind IN ('cron', 'manual') ORDER BY id DESC LIMIT 1
                    """
                ).integers.first : nil
            let state: JobState = open == nil ? .queued : .skipped
            let end: Statement = open == nil ? "NULL" : Statement.now
            let inserted = try session.run(
                """
                INSERT INTO job (cause, project, pipeline, stage, deployment, digest, kind, name, command, timeout, limits, actor,
                    scheduledFor, state, message, createdAt, finishedAt)
                VALUES (\(new.cause), \(deployment.project), \(deployment.pipeline), \(deployment.stage), \(deployment.id),
                    \(deployment.digest), \(new.kind), \(new.job.name), \(command), \(new.job.timeout), \(limits), \(new.actor),
                    \(new.scheduledFor), \(state), \(open.map(NewJob.overlap(with:))), \(Statement.now), \(end))
                ON CONFLICT (cause) DO NOTHING RETURNING id
                """
            ).integers.first
            guard let id = inserted else {
                // For a cause that is not the deployment's alone somebody else was quicker.
                guard let first = try session.run("SELECT id FROM job WHERE cause = \(new.cause)").integers.first else { return .refused }
                return .exists(first)
            }
            if open == nil { try session.announce() }
            if open == nil, let remark = new.remark {
                try session.appendLedger(
                    deployment.ledgerEntry(.command, actor: new.actor, commit: try session.commit(of: deployment), remark: remark))
            }
            return .created(id)
        }
    }

    public func job(_ id: Int64) async throws -> Job? {
        try await read { try $0.run("SELECT * FROM job WHERE id = \(id)").record() }
    }

    public func job(cause: String) async throws -> Job? {
        try await read { try $0.run("SELECT * FROM job WHERE cause = \(cause)").record() }
    }

    public func jobs(_ filter: JobFilter, limit: Int) async throws -> [Job] {
        let kinds = filter.kinds.map { kinds -> Statement in
            "AND kind IN (\(Statement.joined(kinds.map { "\($0)" }, by: ", ")))"
        }
        return try await read {
            try $0.run(
                """
                SELECT * FROM job WHERE (\(filter.project) IS NULL OR project = \(filter.project))
                  AND (\(filter.pipeline) IS NULL OR pipeline = \(filter.pipeline)) AND (\(filter.stage) IS NULL OR stage = \(filter.stage))
                  AND (\(filter.deployment) IS NULL OR deployment = \(filter.deployment)) \(kinds ?? "")
                ORDER BY id DESC LIMIT \(limit)
                """
            ).records()
        }
    }

    public func schedules(project: String, pipeline: String, stage: String) async throws -> [String: Double] {
        let rows = try await read {
            try $0.run(
                """
                SELECT name, max(scheduledFor) AS last FROM job
                WHERE project = \(project) AND pipeline = \(pipeline) AND stage = \(stage) AND kind = 'cron' GROUP BY name
                """
            ).cells
        }
        var times: [String: Double] = [:]
        for row in rows {
            if case .text(let name) = row[0], case .real(let time) = row[1] { times[name] = time }
        }
        return times
    }

    public func removeJobs(endedBefore time: Double) async throws {
        try await run(
            """
            DELETE FROM job WHERE finishedAt < \(time) AND kind IN ('cron', 'manual', 'exec') AND id NOT IN (
                SELECT max(id) FROM job WHERE kind = 'cron' GROUP BY project, pipeline, stage, name)
            """)
    }

    public func claimJob(holder: String, leaseSeconds: Double) async throws -> Job? {
        try await run(
            """
            WITH due AS MATERIALIZED (
                SELECT id FROM job WHERE finishedAt IS NULL AND leaseExpiresAt <= \(Statement.now)
                ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
            UPDATE job SET epoch = epoch + 1, holder = \(holder), leaseExpiresAt = \(Statement.now) + \(leaseSeconds)
            FROM due WHERE job.id = due.id RETURNING job.*
            """
        ).record()
    }

    public func renewJob(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        try await run(
            """
            UPDATE job SET leaseExpiresAt = \(Statement.now) + \(leaseSeconds)
            WHERE id = \(id) AND epoch = \(epoch) AND finishedAt IS NULL
            """
        ).changed > 0
    }

    public func advanceJob(_ id: Int64, epoch: Int64, by change: JobChange) async throws -> Bool {
        let end: Statement = change.to.isTerminal ? ", finishedAt = \(Statement.now), leaseExpiresAt = 0" : ""
        let start: Statement = change.to == .starting ? ", startedAt = \(Statement.now)" : ""
        return try await write { session in
            let moved =
                try session.run(
                    """
                    UPDATE job SET state = \(change.to), endsAs = coalesce(\(change.endsAs?.rawValue), endsAs),
                        exitCode = coalesce(\(change.exitCode), exitCode), message = coalesce(\(change.message), message),
                        logTail = coalesce(\(change.logTail), logTail)\(start)\(end)
                    WHERE id = \(id) AND epoch = \(epoch) AND state = \(change.from)
                    """
                ).changed > 0
            // Whoever waits for it may be another server.
            if moved, change.to.isTerminal { try session.announce() }
            return moved
        }
    }

    public func requestCancel(job id: Int64, actor: String) async throws -> Bool {
        try await write { session in
            let asked =
                try session.run(
                    """
                    UPDATE job SET cancelledBy = coalesce(cancelledBy, \(actor)),
                        message = CASE WHEN state = 'queued' THEN 'cancelled by ' || \(actor) ELSE message END,
                        finishedAt = CASE WHEN state = 'queued' THEN \(Statement.now) END,
                        state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
                    WHERE id = \(id) AND finishedAt IS NULL
                    """
                ).changed > 0
            if asked { try session.announce() }
            return asked
        }
    }
}
