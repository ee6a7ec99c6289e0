import DeliveryModel
import GRDB
import OCIModel
public import StateStore

extension SQLiteStore {
    public func release(_ id: Int64) async throws -> Release? {
        try await read { try Release.fetchOne($0, sql: "SELECT * FROM release WHERE id = ?", arguments: [id]) }
    }

    public func release(ofRun run: Int64) async throws -> Release? {
        try await read { try Release.fetchOne($0, sql: "SELECT * FROM release WHERE run = ?", arguments: [run]) }
    }

    public func releases(project: String, limit: Int) async throws -> [Release] {
        try await read {
            try Release.fetchAll(
                $0, sql: "SELECT * FROM release WHERE project = ? ORDER BY id DESC LIMIT ?",
                arguments: [project, limit])
        }
    }

    public func newestReleases(project: String) async throws -> [Release] {
        try await read {
            try Release.fetchAll(
                $0, sql: "SELECT * FROM release WHERE id IN (SELECT max(id) FROM release WHERE project = ? GROUP BY pipeline) ORDER BY id",
                arguments: [project])
        }
    }

    public func deployment(_ id: Int64) async throws -> Deployment? {
        try await read { try Deployment.fetchOne($0, sql: "SELECT * FROM deployment WHERE id = ?", arguments: [id]) }
    }

    public func deployments(project: String, limit: Int) async throws -> [Deployment] {
        try await read {
            try Deployment.fetchAll(
                $0, sql: "SELECT * FROM deployment WHERE project = ? ORDER BY id DESC LIMIT ?",
                arguments: [project, limit])
        }
    }

    public func deployments(ofRelease release: Int64) async throws -> [Deployment] {
        try await read {
            try Deployment.fetchAll(
                $0, sql: #"SELECT * FROM deployment WHERE "release" = ? ORDER BY id"#, arguments: [release])
        }
    }

    public func liveDeployments(project: String?) async throws -> [Deployment] {
        let filter = project == nil ? "" : "AND project = ?"
        return try await read {
            try Deployment.fetchAll(
                $0,
                sql: """
                    SELECT * FROM deployment WHERE id IN (
                        SELECT max(id) FROM deployment WHERE phase = 'succeeded' \(filter) GROUP BY project, pipeline, stage)
                    ORDER BY id
                    """, arguments: project.map { [$0] } ?? [])
        }
    }

    public func activeDeployments() async throws -> [Deployment] {
        try await read {
            try Deployment.fetchAll(
                $0,
                sql: """
                    SELECT * FROM deployment WHERE phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded')
                      AND phase NOT IN ('awaitingApproval', 'queued')
                    """)
        }
    }

    public func createDeployment(_ deployment: NewDeployment, of release: Int64) async throws -> Int64 {
        let now = clock()
        return try await write { try Self.insert(deployment, release: release, now: now, $0) }
    }

    /// Inserts a deployment; what waited for the same stage and has not begun gives way to it.
    static func insert(_ deployment: NewDeployment, release: Int64, now: Double, _ db: GRDB.Database) throws -> Int64 {
        guard let release = try Release.fetchOne(db, sql: "SELECT * FROM release WHERE id = ?", arguments: [release])
        else {
            throw StateError(.notFound, "there is no release \(release)", hint: "see: slipway status")
        }
        if deployment.isFirst,
            let known = try Int64.fetchOne(
                db, sql: #"SELECT min(id) FROM deployment WHERE "release" = ? AND stage = ?"#, arguments: [release.id, deployment.stage])
        {
            return known
        }
        try db.execute(
            sql: """
                UPDATE deployment SET phase = 'superseded', finishedAt = ?, message = 'a newer release took its place'
                WHERE project = ? AND pipeline = ? AND stage = ? AND phase IN ('awaitingApproval', 'queued') AND train IS NULL
                """, arguments: [now, release.project, release.pipeline, deployment.stage])
        let phase: RolloutPhase = deployment.approvalsNeeded > 0 ? .awaitingApproval : .queued
        try db.execute(
            sql: """
                INSERT INTO deployment (project, pipeline, stage, "release", digest, phase, kind, requestedBy,
                    approvalsNeeded, expiresAt, createdAt, rule, configuration, secretNames, overriddenBy, overrideReason)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                release.project, release.pipeline, deployment.stage, release.id, release.digest.description,
                phase.rawValue, deployment.kind, deployment.requestedBy, deployment.approvalsNeeded,
                deployment.expiresAfter.map { now + $0 }, now,
                try deployment.rule.map { String(decoding: try OCIJSON.encode($0), as: UTF8.self) }, deployment.configuration,
                String(decoding: try OCIJSON.encode(deployment.secretNames), as: UTF8.self),
                deployment.override.map { _ in deployment.requestedBy }, deployment.override,
            ])
        let id = db.lastInsertedRowID
        try recordEvent(
            db, at: now, project: release.project, run: release.run, deployment: id, actor: deployment.requestedBy,
            state: phase.rawValue,
            message: "\(release.digest.short) to \(deployment.stage)")
        try announce(db, deployment: id)
        if deployment.kind == "rollback" || deployment.override != nil,
            let new = try Deployment.fetchOne(db, sql: "SELECT * FROM deployment WHERE id = ?", arguments: [id])
        {
            if deployment.kind == "rollback" {
                try appendLedger(db, at: now, new.ledgerEntry(.rollback, actor: new.requestedBy, commit: release.commit))
            }
            if deployment.override != nil { try recordOverride(db, at: now, new) }
        }
        return id
    }

    public func claimDeployment(holder: String, leaseSeconds: Double) async throws -> Deployment? {
        let now = clock()
        return try await write { db in
            try Deployment.fetchOne(
                db,
                sql: """
                    UPDATE deployment SET epoch = epoch + 1, holder = :holder, leaseExpiresAt = :expires,
                        startedAt = coalesce(startedAt, :now),
                        previous = CASE WHEN startedAt IS NULL THEN (
                            SELECT max(p.id) FROM deployment p WHERE p.phase = 'succeeded'
                              AND p.project = deployment.project AND p.pipeline = deployment.pipeline
                              AND p.stage = deployment.stage) ELSE previous END
                    WHERE id = (
                        SELECT d.id FROM deployment d
                        WHERE d.phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded') AND d.phase <> 'awaitingApproval'
                          AND d.leaseExpiresAt <= :now AND (d.phase <> 'queued' OR d.heldUntil IS NULL OR d.heldUntil <= :now)
                          AND NOT EXISTS (SELECT 1 FROM deployment o WHERE o.project = d.project
                              AND o.pipeline = d.pipeline AND o.stage = d.stage AND o.id <> d.id
                              AND o.phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded')
                              AND (o.phase NOT IN ('awaitingApproval', 'queued')
                                   OR (o.phase = 'queued' AND o.train IS NOT NULL AND o.id < d.id)))
                        ORDER BY d.id LIMIT 1)
                    RETURNING *
                    """, arguments: ["holder": holder, "expires": now + leaseSeconds, "now": now])
        }
    }

    public func renewDeployment(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        let expires = clock() + leaseSeconds
        return try await write { db in
            try db.execute(
                sql: "UPDATE deployment SET leaseExpiresAt = ? WHERE id = ? AND epoch = ? AND finishedAt IS NULL",
                arguments: [expires, id, epoch])
            return db.changesCount > 0
        }
    }

    public func advanceDeployment(_ id: Int64, epoch: Int64, by change: DeploymentChange) async throws -> Bool {
        let now = clock()
        return try await write { db in
            guard
                let deployment = try Deployment.fetchOne(
                    db,
                    sql: """
                        UPDATE deployment SET phase = :to, ended = :ended, rollout = :rollout, message = coalesce(:message, message),
                            logTail = coalesce(:tail, logTail),
                            finishedAt = CASE WHEN :terminal THEN :now ELSE NULL END,
                            leaseExpiresAt = CASE WHEN :terminal THEN 0 ELSE leaseExpiresAt END
                        WHERE id = :id AND epoch = :epoch AND phase = :from RETURNING *
                        """,
                    arguments: [
                        "to": change.stored.phase.rawValue, "ended": change.stored.ended?.rawValue, "rollout": change.rollout,
                        "message": change.message, "tail": change.logTail, "terminal": change.to.isTerminal, "now": now,
                        "id": id, "epoch": epoch, "from": change.from.rawValue,
                    ])
            else { return false }
            try recordEvent(
                db, at: now, project: deployment.project, deployment: id, actor: "slipway",
                state: change.to.rawValue, message: change.message ?? "")
            if change.to.isTerminal { try announce(db, deployment: id) }
            for follower in change.followers {
                _ = try Self.insert(follower, release: deployment.release, now: now, db)
            }
            try appendLedger(db, at: now, deployment, from: change.from)
            return true
        }
    }

    public func saveReport(deployment id: Int64, epoch: Int64, _ report: String) async throws -> Bool {
        try await write { db in
            try db.execute(
                sql: "UPDATE deployment SET report = ? WHERE id = ? AND epoch = ? AND finishedAt IS NULL", arguments: [report, id, epoch])
            return db.changesCount > 0
        }
    }

    public func requestCancel(deployment id: Int64, actor: String, reason: String) async throws -> Bool {
        let now = clock()
        return try await write { db in
            guard
                let deployment = try Deployment.fetchOne(
                    db,
                    sql: """
                        UPDATE deployment SET cancelReason = coalesce(cancelReason, :reason),
                            ended = CASE WHEN startedAt IS NULL THEN 'cancelled' END,
                            message = CASE WHEN startedAt IS NULL THEN :reason ELSE message END,
                            finishedAt = CASE WHEN startedAt IS NULL THEN :now END,
                            phase = CASE WHEN startedAt IS NULL THEN 'failed' ELSE phase END
                        WHERE id = :id AND finishedAt IS NULL RETURNING *
                        """, arguments: ["reason": reason, "now": now, "id": id])
            else { return false }
            try recordEvent(
                db, at: now, project: deployment.project, deployment: id, actor: actor,
                state: deployment.finishedAt == nil ? nil : RolloutPhase.cancelled.rawValue, message: reason)
            if deployment.finishedAt != nil {
                try announce(db, deployment: id)
                try appendLedger(
                    db, at: now, deployment.ledgerEntry(.cancelled, actor: actor, commit: try commit(of: deployment, db), remark: reason))
            }
            return true
        }
    }

    public func resume(deployment id: Int64, wave: Int, actor: String) async throws -> Bool {
        let now = clock()
        return try await write { db in
            guard
                let deployment = try Deployment.fetchOne(
                    db, sql: "UPDATE deployment SET resumedWave = ?, resumedBy = ? WHERE id = ? AND finishedAt IS NULL RETURNING *",
                    arguments: [wave, actor, id])
            else { return false }
            try recordEvent(
                db, at: now, project: deployment.project, deployment: id, actor: actor, state: nil, message: "lets the deployment go on")
            return true
        }
    }
}
