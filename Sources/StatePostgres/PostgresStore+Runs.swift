public import DeliveryModel
public import OCIModel
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
            if let claimed, claimed.epoch == 1 { try session.tell(Announcement(claimed, at: try session.now())) }
            return claimed
        }
    }

    public func renewRun(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        try await updateRun("leaseExpiresAt = \(Statement.now) + \(leaseSeconds)", id: id, epoch: epoch)
    }

    public func setPhase(_ phase: RunPhase, ofRun id: Int64, epoch: Int64) async throws -> Bool {
        try await updateRun("phase = \(phase)", id: id, epoch: epoch)
    }

    public func setDigest(_ digest: Digest, ofRun id: Int64, epoch: Int64) async throws -> Bool {
        try await updateRun("digest = \(digest)", id: id, epoch: epoch)
    }

    private func updateRun(_ assignment: Statement, id: Int64, epoch: Int64) async throws -> Bool {
        try await run("UPDATE run SET \(assignment) WHERE id = \(id) AND epoch = \(epoch) AND state = 'running'").changed > 0
    }

    public func setStep(_ name: String, ofRun id: Int64, epoch: Int64, to change: StepChange) async throws -> Bool {
        // A step's end is final: the state it comes from is part of the condition. The run is held in its epoch meanwhile.
        let from: Statement = change.state == .running ? "('waiting')" : "('waiting', 'running')"
        let times: Statement =
            change.state == .running
            ? "startedAt = \(Statement.now), finishedAt = NULL" : "finishedAt = \(Statement.now)"
        return try await run(
            """
            WITH held AS MATERIALIZED (
                SELECT id FROM run WHERE id = \(id) AND epoch = \(epoch) AND state = 'running' FOR SHARE)
            UPDATE step SET state = \(change.state), exitCode = \(change.exitCode), message = \(change.message), \(times)
            FROM held WHERE step.run = held.id AND step.name = \(name) AND step.state IN \(from)
            """
        ).changed > 0
    }

    public func retryStep(
        _ name: String, ofRun id: Int64, epoch: Int64, after attempt: Int, message: String
    ) async throws -> Bool {
        try await run(
            """
            WITH held AS MATERIALIZED (
                SELECT id FROM run WHERE id = \(id) AND epoch = \(epoch) AND state = 'running' FOR SHARE)
            UPDATE step SET attempt = attempt + 1, message = \(message), startedAt = \(Statement.now)
            FROM held WHERE step.run = held.id AND step.name = \(name) AND step.state = 'running' AND step.attempt = \(attempt)
            """
        ).changed > 0
    }

    public func finishRun(
        _ id: Int64, epoch: Int64, state: RunState, error: String?, release: NewRelease?, deployments: [NewDeployment]
    ) async throws -> Bool {
        try await write { session in
            let finished: Run? = try session.run(
                """
                UPDATE run SET state = \(state), error = \(error), finishedAt = \(Statement.now), holder = NULL, leaseExpiresAt = 0
                WHERE id = \(id) AND epoch = \(epoch) AND state = 'running' RETURNING *
                """
            ).record()
            guard let run = finished else { return false }
            try session.recordEvent(
                project: run.project, run: id, actor: "slipway", state: state.rawValue, message: error ?? "")
            try session.tell(Announcement(run, at: try session.now()))
            try session.announce()
            guard let release else { return true }
            let service = String(decoding: try OCIJSON.encode(release.service), as: UTF8.self)
            let inserted = try session.run(
                """
                INSERT INTO release (project, pipeline, run, commit, author, message, image, digest, service, stages, createdAt)
                VALUES (\(run.project), \(run.pipeline), \(id), \(run.commit), \(run.author), \(run.message),
                    \(release.image), \(release.digest), \(service), \(release.stages), \(Statement.now))
                RETURNING id
                """)
            for new in inserted.integers {
                for deployment in deployments { _ = try Self.insert(deployment, release: new, session) }
            }
            return true
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
                try session.tell(Announcement(run, at: try session.now()))
            }
            try session.recordEvent(project: run.project, run: id, actor: actor, message: "cancel requested")
            try session.announce()
            return true
        }
    }
}
