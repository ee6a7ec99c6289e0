public import DeliveryModel
import GRDB
public import OCIModel
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
            if let run, run.epoch == 1 { try announce(db, Announcement(run, at: now)) }
            return run
        }
    }

    public func renewRun(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        try await updateRun("leaseExpiresAt = ?", [clock() + leaseSeconds], id: id, epoch: epoch)
    }

    public func setPhase(_ phase: RunPhase, ofRun id: Int64, epoch: Int64) async throws -> Bool {
        try await updateRun("phase = ?", [phase.rawValue], id: id, epoch: epoch)
    }

    public func setDigest(_ digest: Digest, ofRun id: Int64, epoch: Int64) async throws -> Bool {
        try await updateRun("digest = ?", [digest.description], id: id, epoch: epoch)
    }

    private func updateRun(
        _ assignment: String, _ values: StatementArguments, id: Int64, epoch: Int64
    ) async throws
        -> Bool
    {
        try await write { db in
            try db.execute(
                sql: "UPDATE run SET \(assignment) WHERE id = ? AND epoch = ? AND state = 'running'",
                arguments: values + [id, epoch])
            return db.changesCount > 0
        }
    }

    public func setStep(_ name: String, ofRun id: Int64, epoch: Int64, to change: StepChange) async throws -> Bool {
        let now = clock()
        return try await write { db in
            // A step's end is final: the state it comes from is part of the condition.
            let from = change.state == .running ? "('waiting')" : "('waiting', 'running')"
            try db.execute(
                sql: """
                    UPDATE step SET state = :state, exitCode = :code, message = :message,
                        startedAt = CASE WHEN :state = 'running' THEN :now ELSE startedAt END,
                        finishedAt = CASE WHEN :state = 'running' THEN NULL ELSE :now END
                    WHERE run = :run AND name = :name AND state IN \(from)
                      AND EXISTS (SELECT 1 FROM run WHERE id = :run AND epoch = :epoch AND state = 'running')
                    """,
                arguments: [
                    "state": change.state.rawValue, "code": change.exitCode, "message": change.message, "now": now,
                    "run": id, "name": name, "epoch": epoch,
                ])
            return db.changesCount > 0
        }
    }

    public func retryStep(
        _ name: String, ofRun id: Int64, epoch: Int64, after attempt: Int, message: String
    ) async throws -> Bool {
        let now = clock()
        return try await write { db in
            try db.execute(
                sql: """
                    UPDATE step SET attempt = attempt + 1, message = :message, startedAt = :now
                    WHERE run = :run AND name = :name AND state = 'running' AND attempt = :attempt
                      AND EXISTS (SELECT 1 FROM run WHERE id = :run AND epoch = :epoch AND state = 'running')
                    """,
                arguments: ["message": message, "now": now, "run": id, "name": name, "attempt": attempt, "epoch": epoch])
            return db.changesCount > 0
        }
    }

    public func finishRun(
        _ id: Int64, epoch: Int64, state: RunState, error: String?, release: NewRelease?, deployments: [NewDeployment]
    ) async throws -> Bool {
        let now = clock()
        return try await write { db in
            guard
                let run = try Run.fetchOne(
                    db,
                    sql: """
                        UPDATE run SET state = ?, error = ?, finishedAt = ?, holder = NULL, leaseExpiresAt = 0
                        WHERE id = ? AND epoch = ? AND state = 'running' RETURNING *
                        """, arguments: [state.rawValue, error, now, id, epoch])
            else { return false }
            try recordEvent(
                db, at: now, project: run.project, run: id, actor: "slipway",
                state: state.rawValue, message: error ?? "")
            try announce(db, Announcement(run, at: now))
            guard let release else { return true }
            let service = String(decoding: try OCIJSON.encode(release.service), as: UTF8.self)
            try db.execute(
                sql: """
                    INSERT INTO release (project, pipeline, run, "commit", author, message, image, digest, service,
                        stages, createdAt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    run.project, run.pipeline, id, run.commit, run.author, run.message, release.image,
                    release.digest.description, service, release.stages, now,
                ])
            let releaseID = db.lastInsertedRowID
            for deployment in deployments {
                _ = try Self.insert(deployment, release: releaseID, now: now, db)
            }
            return true
        }
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
                try announce(db, Announcement(run, at: now))
            }
            try recordEvent(db, at: now, project: run.project, run: id, actor: actor, message: "cancel requested")
            return true
        }
    }
}
