public import DeliveryModel
import GRDB
import OCIModel
public import StateStore

extension SQLiteStore {
    public func run(_ id: Int64) async throws -> Run? {
        try await read { try Run.fetchOne($0, sql: "SELECT * FROM run WHERE id = ?", arguments: [id]) }
    }

    public func runs(project: String?, limit: Int) async throws -> [Run] {
        try await read {
            if let project {
                return try Run.fetchAll(
                    $0, sql: "SELECT * FROM run WHERE project = ? ORDER BY id DESC LIMIT ?",
                    arguments: [project, limit])
            }
            return try Run.fetchAll($0, sql: "SELECT * FROM run ORDER BY id DESC LIMIT ?", arguments: [limit])
        }
    }

    public func steps(of run: Int64) async throws -> [Step] {
        try await read {
            try Step.fetchAll($0, sql: "SELECT * FROM step WHERE run = ? ORDER BY ordinal", arguments: [run])
        }
    }

    public func claimRun(holder: String, leaseSeconds: Double) async throws -> Run? {
        let now = clock()
        return try await write { db in
            let run = try Run.fetchOne(
                db,
                sql: """
                    UPDATE run SET state = 'running', epoch = epoch + 1, starts = starts + 1, holder = :holder, leaseExpiresAt = :expires,
                        startedAt = coalesce(startedAt, :now)
                    WHERE id = (
                        SELECT r.id FROM run r WHERE r.state IN ('queued', 'running') AND r.leaseExpiresAt <= :now
                          AND (r.state = 'running' OR r.concurrencyGroup IS NULL OR NOT EXISTS (
                            SELECT 1 FROM run o WHERE o.project = r.project AND o.concurrencyGroup = r.concurrencyGroup
                              AND o.state IN ('queued', 'running') AND o.id <> r.id
                              AND (o.id < r.id OR o.state = 'running')))
                        ORDER BY r.id LIMIT 1)
                    RETURNING *
                    """, arguments: ["holder": holder, "expires": now + leaseSeconds, "now": now])
            if let run, run.epoch == 1 { try announce(db, Announcement(run)) }
            return run
        }
    }

    public func renewRun(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        let expires = clock() + leaseSeconds
        return try await write { db in
            try db.execute(
                sql: "UPDATE run SET leaseExpiresAt = ? WHERE id = ? AND epoch = ? AND state = 'running'",
                arguments: [expires, id, epoch])
            return db.changesCount > 0
        }
    }

    public func advanceRun(_ id: Int64, epoch: Int64, by change: RunChange, release: NewRelease?) async throws -> Bool {
        let now = clock()
        do {
            try await write { db in
                guard
                    let run = try Run.fetchOne(
                        db,
                        sql: """
                            UPDATE run SET phase = coalesce(:phase, phase), digest = coalesce(:digest, digest),
                                error = coalesce(:failure, error)
                            WHERE id = :id AND epoch = :epoch AND state = 'running' RETURNING *
                            """,
                        arguments: [
                            "phase": change.phase?.rawValue, "digest": change.image?.description, "failure": change.failure,
                            "id": id, "epoch": epoch,
                        ])
                else { throw NotAsItWas() }
                for step in change.steps { try Self.record(step, run: id, now: now, db) }
                if let end = change.end { try Self.record(end, run, release, now: now, db) }
            }
            return true
        } catch is NotAsItWas {
            return false
        }
    }

    /// Undoes the transaction that met it.
    private struct NotAsItWas: Error {}

    private static func record(_ step: StepChange, run: Int64, now: Double, _ db: GRDB.Database) throws {
        try db.execute(
            sql: """
                UPDATE step SET state = :to, exitCode = :code, message = :message, attempt = attempt + :retry,
                    startedAt = CASE WHEN :to = 'running' THEN :now ELSE startedAt END,
                    finishedAt = CASE WHEN :to = 'running' THEN NULL ELSE :now END
                WHERE run = :run AND name = :name AND state = :from AND attempt = :attempt
                """,
            arguments: [
                "to": step.to.rawValue, "code": step.exitCode, "message": step.message, "retry": step.isRetry ? 1 : 0, "now": now,
                "run": run, "name": step.name, "from": step.from.rawValue, "attempt": step.attempt,
            ])
        if db.changesCount == 0 { throw NotAsItWas() }
    }

    private static func record(
        _ end: RunEnd, _ running: Run, _ release: NewRelease?, now: Double, _ db: GRDB.Database
    ) throws {
        var run = running
        run.state = end.state
        run.error = end.error
        run.finishedAt = now
        try db.execute(
            sql: "UPDATE run SET state = ?, error = ?, finishedAt = ?, holder = NULL, leaseExpiresAt = 0 WHERE id = ?",
            arguments: [end.state.rawValue, end.error, now, run.id])
        try recordEvent(
            db, at: now, project: run.project, run: run.id, actor: "slipway", state: end.state.rawValue,
            message: end.error ?? "")
        try announce(db, Announcement(run))
        guard let release else { return }
        let service = String(decoding: try OCIJSON.encode(release.service), as: UTF8.self)
        try db.execute(
            sql: """
                INSERT INTO release (project, pipeline, run, "commit", author, message, image, digest, service,
                    stages, createdAt, authorEmails) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                run.project, run.pipeline, run.id, run.commit, run.author, run.message, release.image,
                release.digest.description, service, release.stages, now,
                String(decoding: try OCIJSON.encode(run.authorEmails), as: UTF8.self),
            ])
        let releaseID = db.lastInsertedRowID
        for deployment in release.deployments {
            _ = try insert(deployment, release: releaseID, now: now, db)
        }
        try appendLedger(
            db, at: now,
            LedgerEntry(
                kind: .built, actor: "slipway", project: run.project, pipeline: run.pipeline, run: run.id, release: releaseID,
                commit: run.commit, digest: release.digest))
    }

    public func requestCancel(run id: Int64, actor: String) async throws -> Bool {
        let now = clock()
        return try await write { db in
            guard
                let run = try Run.fetchOne(
                    db,
                    sql: """
                        UPDATE run SET cancelRequested = 1,
                            finishedAt = CASE WHEN state = 'queued' THEN ? ELSE finishedAt END,
                            state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
                        WHERE id = ? AND state IN ('queued', 'running') RETURNING *
                        """, arguments: [now, id])
            else { return false }
            if run.state == .cancelled {
                try db.execute(sql: "UPDATE step SET state = 'cancelled' WHERE run = ? AND state = 'waiting'", arguments: [id])
                try announce(db, Announcement(run))
            }
            try recordEvent(db, at: now, project: run.project, run: id, actor: actor, message: "cancel requested")
            return true
        }
    }
}
