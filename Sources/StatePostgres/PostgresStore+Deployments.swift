import DeliveryModel
import OCIModel
public import StateStore

extension PostgresStore {
    public func release(_ id: Int64) async throws -> Release? {
        try await read { try $0.run("SELECT * FROM release WHERE id = \(id)").record() }
    }

    public func release(ofRun run: Int64) async throws -> Release? {
        try await read { try $0.run("SELECT * FROM release WHERE run = \(run)").record() }
    }

    public func releases(project: String, limit: Int) async throws -> [Release] {
        try await read {
            try $0.run("SELECT * FROM release WHERE project = \(project) ORDER BY id DESC LIMIT \(limit)").records()
        }
    }

    public func newestReleases(project: String) async throws -> [Release] {
        try await read {
            try $0.run(
                """
                SELECT * FROM release WHERE id IN (SELECT max(id) FROM release WHERE project = \(project) GROUP BY pipeline) ORDER BY id
                """
            ).records()
        }
    }

    public func deployment(_ id: Int64) async throws -> Deployment? {
        try await read { try $0.run("SELECT * FROM deployment WHERE id = \(id)").record() }
    }

    public func deployments(project: String, limit: Int) async throws -> [Deployment] {
        try await read {
            try $0.run("SELECT * FROM deployment WHERE project = \(project) ORDER BY id DESC LIMIT \(limit)").records()
        }
    }

    public func deployments(ofRelease release: Int64) async throws -> [Deployment] {
        try await read { try $0.run("SELECT * FROM deployment WHERE release = \(release) ORDER BY id").records() }
    }

    public func liveDeployments(project: String?) async throws -> [Deployment] {
        try await read {
            try $0.run(
                """
                SELECT * FROM deployment WHERE id IN (
                    SELECT max(id) FROM deployment
                    WHERE phase = 'succeeded' AND (\(project) IS NULL OR project = \(project))
                    GROUP BY project, pipeline, stage)
                ORDER BY id
                """
            ).records()
        }
    }

    public func activeDeployments() async throws -> [Deployment] {
        try await read {
            try $0.run(
                """
                SELECT * FROM deployment WHERE phase NOT IN
                    ('awaitingApproval', 'queued', 'succeeded', 'failed', 'rejected', 'superseded')
                ORDER BY id
                """
            ).records()
        }
    }

    public func createDeployment(_ deployment: NewDeployment, of release: Int64) async throws -> Int64 {
        try await write { try Self.insert(deployment, release: release, $0) }
    }

    /// Inserts a deployment; what waited for the same stage and has not begun gives way to it.
    static func insert(_ deployment: NewDeployment, release id: Int64, _ session: Session) throws -> Int64 {
        guard let release: Release = try session.run("SELECT * FROM release WHERE id = \(id)").record() else {
            throw StateError(.notFound, "there is no release \(id)", hint: "see: slipway status")
        }
        // One at a time for a project: two that are created at once must not both wait for the same stage.
        try session.run("SELECT name FROM project WHERE name = \(release.project) FOR NO KEY UPDATE")
        if deployment.isFirst {
            let known = try session.run("SELECT id FROM deployment WHERE release = \(id) AND stage = \(deployment.stage) ORDER BY id LIMIT 1")
            if let first = known.integers.first { return first }
        }
        try session.run(
            """
            UPDATE deployment SET phase = 'superseded', finishedAt = \(Statement.now), message = 'a newer release took its place'
            WHERE project = \(release.project) AND pipeline = \(release.pipeline) AND stage = \(deployment.stage)
              AND phase IN ('awaitingApproval', 'queued') AND train IS NULL
            """)
        let phase: RolloutPhase = deployment.approvalsNeeded > 0 ? .awaitingApproval : .queued
        let rule = try deployment.rule.map { String(decoding: try OCIJSON.encode($0), as: UTF8.self) }
        let secretNames = String(decoding: try OCIJSON.encode(deployment.secretNames), as: UTF8.self)
        let inserted: Deployment? = try session.run(
            """
            INSERT INTO deployment (project, pipeline, stage, release, digest, phase, kind, requestedBy, approvalsNeeded,
                expiresAt, createdAt, rule, configuration, secretNames, overriddenBy, overrideReason)
            VALUES (\(release.project), \(release.pipeline), \(deployment.stage), \(release.id), \(release.digest), \(phase),
                \(deployment.kind), \(deployment.requestedBy), \(deployment.approvalsNeeded),
                \(Statement.now) + \(deployment.expiresAfter), \(Statement.now), \(rule), \(deployment.configuration), \(secretNames),
                \(deployment.override == nil ? nil : deployment.requestedBy), \(deployment.override))
            RETURNING *
            """
        ).record()
        guard let made = inserted else {
            throw PostgresFailure(message: "a deployment was inserted and is not there")
        }
        let new = made.id
        try session.recordEvent(
            project: release.project, run: release.run, deployment: new, actor: deployment.requestedBy, state: phase.rawValue,
            message: "\(release.digest.short) to \(deployment.stage)")
        try session.tell(deployment: new)
        try session.announce()
        if made.kind == "rollback" {
            try session.appendLedger(made.ledgerEntry(.rollback, actor: made.requestedBy, commit: release.commit))
        }
        if made.overriddenBy != nil { try session.recordOverride(made) }
        return new
    }

    public func claimDeployment(holder: String, leaseSeconds: Double) async throws -> Deployment? {
        try await run(
            """
            WITH due AS MATERIALIZED (
                SELECT d.id FROM deployment d
                WHERE d.phase NOT IN ('awaitingApproval', 'succeeded', 'failed', 'rejected', 'superseded')
                  AND d.leaseExpiresAt <= \(Statement.now)
                  AND (d.phase <> 'queued' OR d.heldUntil IS NULL OR d.heldUntil <= \(Statement.now))
                  AND NOT EXISTS (SELECT 1 FROM deployment o WHERE o.project = d.project
                      AND o.pipeline = d.pipeline AND o.stage = d.stage AND o.id <> d.id
                      AND (o.phase NOT IN ('awaitingApproval', 'queued', 'succeeded', 'failed', 'rejected', 'superseded')
                           OR (o.phase = 'queued' AND o.train IS NOT NULL AND o.id < d.id)))
                ORDER BY d.id LIMIT 1 FOR UPDATE OF d SKIP LOCKED)
            UPDATE deployment SET epoch = epoch + 1, holder = \(holder), leaseExpiresAt = \(Statement.now) + \(leaseSeconds),
                startedAt = coalesce(startedAt, \(Statement.now)),
                previous = CASE WHEN startedAt IS NULL THEN (
                    SELECT max(p.id) FROM deployment p WHERE p.phase = 'succeeded' AND p.project = deployment.project
                      AND p.pipeline = deployment.pipeline AND p.stage = deployment.stage) ELSE previous END
            FROM due WHERE deployment.id = due.id
            RETURNING deployment.*
            """
        ).record()
    }

    public func renewDeployment(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        try await run(
            """
            UPDATE deployment SET leaseExpiresAt = \(Statement.now) + \(leaseSeconds)
            WHERE id = \(id) AND epoch = \(epoch) AND finishedAt IS NULL
            """
        ).changed > 0
    }

    public func advanceDeployment(_ id: Int64, epoch: Int64, by change: DeploymentChange) async throws -> Bool {
        let end: Statement = change.to.isTerminal ? "finishedAt = \(Statement.now), leaseExpiresAt = 0" : "finishedAt = NULL"
        return try await write { session in
            let moved: Deployment? = try session.run(
                """
                UPDATE deployment SET phase = \(change.stored.phase), ended = \(change.stored.ended?.rawValue), rollout = \(change.rollout),
                    message = coalesce(\(change.message), message), logTail = coalesce(\(change.logTail), logTail), \(end)
                WHERE id = \(id) AND epoch = \(epoch) AND phase = \(change.from) RETURNING *
                """
            ).record()
            guard let deployment = moved else { return false }
            try session.recordEvent(
                project: deployment.project, deployment: id, actor: "slipway", state: change.to.rawValue, message: change.message ?? "")
            if change.to.isTerminal { try session.tell(deployment: id) }
            for follower in change.followers { _ = try Self.insert(follower, release: deployment.release, session) }
            // The stage is free for the next.
            if change.to.isTerminal { try session.announce() }
            try session.appendLedger(deployment, from: change.from)
            return true
        }
    }

    public func saveReport(deployment id: Int64, epoch: Int64, _ report: String) async throws -> Bool {
        try await run("UPDATE deployment SET report = \(report) WHERE id = \(id) AND epoch = \(epoch) AND finishedAt IS NULL").changed > 0
    }

    public func requestCancel(deployment id: Int64, actor: String, reason: String) async throws -> Bool {
        try await write { session in
            let asked: Deployment? = try session.run(
                """
                UPDATE deployment SET cancelReason = coalesce(cancelReason, \(reason)),
                    ended = CASE WHEN startedAt IS NULL THEN 'cancelled' END,
                    message = CASE WHEN startedAt IS NULL THEN \(reason) ELSE message END,
                    finishedAt = CASE WHEN startedAt IS NULL THEN \(Statement.now) END,
                    phase = CASE WHEN startedAt IS NULL THEN 'failed' ELSE phase END
                WHERE id = \(id) AND finishedAt IS NULL RETURNING *
                """
            ).record()
            guard let deployment = asked else { return false }
            try session.recordEvent(
                project: deployment.project, deployment: id, actor: actor,
                state: deployment.finishedAt == nil ? nil : RolloutPhase.cancelled.rawValue, message: reason)
            if deployment.finishedAt != nil {
                try session.tell(deployment: id)
                try session.appendLedger(
                    deployment.ledgerEntry(.cancelled, actor: actor, commit: try session.commit(of: deployment), remark: reason))
            }
            try session.announce()
            return true
        }
    }

    public func resume(deployment id: Int64, wave: Int, actor: String) async throws -> Bool {
        try await write { session in
            let resumed: Deployment? = try session.run(
                "UPDATE deployment SET resumedWave = \(wave), resumedBy = \(actor) WHERE id = \(id) AND finishedAt IS NULL RETURNING *"
            ).record()
            guard let deployment = resumed else { return false }
            try session.recordEvent(
                project: deployment.project, deployment: id, actor: actor, state: nil, message: "lets the deployment go on")
            try session.announce()
            return true
        }
    }
}
