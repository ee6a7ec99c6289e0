public import DeliveryModel
import OCIModel
public import StateStore

extension PostgresStore {
    public func run(_ id: Int64) async throws -> Run? {
        try await read { try $0.run("SELECT * FROM run WHERE id = \(id)").record() }
    }

    public func runs(project: String?, limit: Int) async throws -> [Run] {
        try await read {
            if let project {
                return try $0.run("SELECT * FROM run WHERE project = \(project) ORDER BY id DESC LIMIT \(limit)").records()
            }
            return try $0.run("SELECT * FROM run ORDER BY id DESC LIMIT \(limit)").records()
        }
    }

    public func steps(of run: Int64) async throws -> [Step] {
        try await read { try $0.run("SELECT * FROM step WHERE run = \(run) ORDER BY ordinal").records() }
    }

    public func claimRun(holder: String, leaseSeconds: Double) async throws -> Run? {
        // Several servers ask at once: each passes over what another is just claiming, and waits for nobody.
        try await write { session in
            let claimed: Run? = try session.run(
                """
                WITH due AS MATERIALIZED (
                    SELECT r.id FROM run r WHERE r.state IN ('queued', 'running') AND r.leaseExpiresAt <= \(Statement.now)
                      AND (r.state = 'running' OR r.concurrencyGroup IS NULL OR NOT EXISTS (
                        SELECT 1 FROM run o WHERE o.project = r.project AND o.concurrencyGroup = r.concurrencyGroup
                          AND o.state IN ('queued', 'running') AND o.id <> r.id
                          AND (o.id < r.id OR o.state = 'running')))
                    ORDER BY r.id LIMIT 1 FOR UPDATE OF r SKIP LOCKED)
                UPDATE run SET state = 'running', epoch = epoch + 1, starts = starts + 1, holder = \(holder),
                    leaseExpiresAt = \(Statement.now) + \(leaseSeconds), startedAt = coalesce(startedAt, \(Statement.now))
                FROM due WHERE run.id = due.id
                RETURNING run.*
                """
            ).record()
            if let claimed, claimed.epoch == 1 { try session.tell(Announcement(claimed)) }
            return claimed
        }
    }

    public func renewRun(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        try await run(
            """
            UPDATE run SET leaseExpiresAt = \(Statement.now) + \(leaseSeconds)
            WHERE id = \(id) AND epoch = \(epoch) AND state = 'running'
            """
        ).changed > 0
    }

    public func advanceRun(_ id: Int64, epoch: Int64, by change: RunChange, release: NewRelease?) async throws -> Bool {
        do {
            try await write { session in
                // Holds the run in its epoch until the transaction is over.
                let held: Run? = try session.run(
                    """
                    UPDATE run SET phase = coalesce(\(change.phase?.rawValue), phase), digest = coalesce(\(change.image), digest),
                        error = coalesce(\(change.failure), error)
                    WHERE id = \(id) AND epoch = \(epoch) AND state = 'running' RETURNING *
                    """
                ).record()
                guard let run = held else { throw NotAsItWas() }
                for step in change.steps { try Self.record(step, run: id, session) }
                if let end = change.end { try Self.record(end, run, release, session) }
            }
            return true
        } catch is NotAsItWas {
            return false
        }
    }

    /// Undoes the transaction that met it.
    private struct NotAsItWas: Error {}

    private static func record(_ step: StepChange, run: Int64, _ session: Session) throws {
        let times: Statement =
            step.to == .running ? "startedAt = \(Statement.now), finishedAt = NULL" : "finishedAt = \(Statement.now)"
        let changed = try session.run(
            """
            UPDATE step SET state = \(step.to), exitCode = \(step.exitCode), message = \(step.message),
                attempt = attempt + \(step.isRetry ? 1 : 0), \(times)
            WHERE run = \(run) AND name = \(step.name) AND state = \(step.from) AND attempt = \(step.attempt)
            """
        ).changed
        if changed == 0 { throw NotAsItWas() }
    }

    private static func record(_ end: RunEnd, _ running: Run, _ release: NewRelease?, _ session: Session) throws {
        let finished: Run? = try session.run(
            """
            UPDATE run SET state = \(end.state), error = \(end.error), finishedAt = \(Statement.now), holder = NULL, leaseExpiresAt = 0
            WHERE id = \(running.id) RETURNING *
            """
        ).record()
        guard let run = finished else { throw NotAsItWas() }
        try session.recordEvent(
            project: run.project, run: run.id, actor: "slipway", state: end.state.rawValue, message: end.error ?? "")
        try session.tell(Announcement(run))
        try session.announce()
        guard let release else { return }
        let service = String(decoding: try OCIJSON.encode(release.service), as: UTF8.self)
        let emails = String(decoding: try OCIJSON.encode(run.authorEmails), as: UTF8.self)
        let inserted = try session.run(
            """
            INSERT INTO release (project, pipeline, run, commit, author, message, image, digest, service, stages, createdAt, authorEmails)
            VALUES (\(run.project), \(run.pipeline), \(run.id), \(run.commit), \(run.author), \(run.message),
                \(release.image), \(release.digest), \(service), \(release.stages), \(Statement.now), \(emails))
            RETURNING id
            """)
        for new in inserted.integers {
            for deployment in release.deployments { _ = try insert(deployment, release: new, session) }
            try session.appendLedger(
                LedgerEntry(
                    kind: .built, actor: "slipway", project: run.project, pipeline: run.pipeline, run: run.id, release: new,
                    commit: run.commit, digest: release.digest))
        }
    }

    public func requestCancel(run id: Int64, actor: String) async throws -> Bool {
        try await write { session in
            let asked: Run? = try session.run(
                """
                UPDATE run SET cancelRequested = TRUE,
                    finishedAt = CASE WHEN state = 'queued' THEN \(Statement.now) ELSE finishedAt END,
                    state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
                WHERE id = \(id) AND state IN ('queued', 'running') RETURNING *
                """
            ).record()
            guard let run = asked else { return false }
            if run.state == .cancelled {
                try session.run("UPDATE step SET state = 'cancelled' WHERE run = \(id) AND state = 'waiting'")
                try session.tell(Announcement(run))
            }
            try session.recordEvent(project: run.project, run: id, actor: actor, message: "cancel requested")
            try session.announce()
            return true
        }
    }
}
