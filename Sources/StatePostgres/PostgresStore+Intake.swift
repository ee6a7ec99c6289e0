import DeliveryModel
import FoundationEssentials
public import StateStore

extension PostgresStore {
    public func add(_ project: Project) async throws {
        let added = try await run(
            """
            INSERT INTO project (name, url, sealedSecret, createdAt)
            VALUES (\(project.name), \(project.url), \(project.sealedSecret), \(project.createdAt))
            ON CONFLICT DO NOTHING
            """)
        if added.changed == 0 {
            throw StateError(
                .exists, "there is a project '\(project.name)' already",
                hint: "choose another name, or remove it first with: slipway project remove \(project.name)")
        }
    }

    public func project(_ name: String) async throws -> Project? {
        try await read { try $0.run("SELECT * FROM project WHERE name = \(name)").record() }
    }

    public func projects() async throws -> [Project] {
        try await read { try $0.run(#"SELECT * FROM project ORDER BY name COLLATE "C""#).records() }
    }

    public func removeProject(_ name: String) async throws -> RemovalOutcome {
        try await write { session in
            // Held, so that nothing new begins and nothing is claimed between the question and the removal.
            guard try session.run("SELECT name FROM project WHERE name = \(name) FOR UPDATE").cells.count > 0 else { return .unknown }
            let runs = try session.run(
                "SELECT state FROM run WHERE project = \(name) AND state IN ('queued', 'running') ORDER BY id FOR UPDATE")
            let deployments = try session.run(
                """
                SELECT phase FROM deployment
                WHERE project = \(name) AND phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded') ORDER BY id FOR UPDATE
                """)
            let waiting = ["awaitingApproval", "queued"]
            if runs.texts.contains("running") || deployments.texts.contains(where: { !waiting.contains($0) }) { return .busy }
            try session.run("DELETE FROM project WHERE name = \(name)")
            return .removed
        }
    }

    public func accept(_ delivery: NewDelivery) async throws -> AcceptOutcome {
        let headers = String(decoding: try JSONEncoder().encode(delivery.headers), as: UTF8.self)
        return try await write { session in
            let added = try session.run(
                """
                INSERT INTO delivery (project, forge, forgeID, headers, body, event, branch, tag, commit, before,
                    receivedAt, state, attempts, nextAttemptAt)
                VALUES (\(delivery.project), \(delivery.forge), \(delivery.forgeID), \(headers), \(delivery.body),
                    \(delivery.event), \(delivery.branch), \(delivery.tag), \(delivery.commit), \(delivery.before),
                    \(Statement.now), 'received', 0, \(Statement.now))
                ON CONFLICT (project, forge, forgeID) DO NOTHING RETURNING id
                """)
            if let id = added.integers.first {
                try session.announce()
                return .accepted(id)
            }
            // A new statement sees what the one before has waited for.
            let known = try session.run(
                """
                SELECT id FROM delivery
                WHERE project = \(delivery.project) AND forge = \(delivery.forge) AND forgeID = \(delivery.forgeID)
                """)
            guard let id = known.integers.first else {
                throw StateError(.notFound, "the project '\(delivery.project)' is gone", hint: "was it removed?")
            }
            return .duplicate(id)
        }
    }

    public func pendingDeliveries(limit: Int) async throws -> [Delivery] {
        try await read {
            try $0.run(
                """
                SELECT * FROM delivery WHERE state = 'received' AND nextAttemptAt <= \(Statement.now)
                ORDER BY id LIMIT \(limit)
                """
            ).records()
        }
    }

    public func deliveries(project: String, limit: Int) async throws -> [Delivery] {
        try await read {
            try $0.run("SELECT * FROM delivery WHERE project = \(project) ORDER BY id DESC LIMIT \(limit)").records()
        }
    }

    public func finishDelivery(_ id: Int64, outcome: String, runs: [NewRun]) async throws -> [Int64] {
        try await write { session in
            let finished = try session.run(
                "UPDATE delivery SET state = 'processed', outcome = \(outcome) WHERE id = \(id) AND state = 'received'")
            guard finished.changed > 0 else { return [] }
            let ids = try runs.compactMap { try Self.insert($0, session) }
            if !ids.isEmpty { try session.announce() }
            return ids
        }
    }

    private static func insert(_ run: NewRun, _ session: Session) throws -> Int64? {
        let state: RunState = run.diagnostic == nil ? .queued : .invalid
        let inserted = try session.run(
            """
            INSERT INTO run (project, pipeline, trigger, event, commit, branch, author, message, commitTime,
                state, phase, plan, error, createdAt, finishedAt)
            VALUES (\(run.project), \(run.pipeline), \(run.trigger), \(run.event), \(run.commit), \(run.branch),
                \(run.author), \(run.message), \(run.commitTime), \(state), 'checkout', \(run.plan), \(run.diagnostic),
                \(Statement.now), CASE WHEN \(state == .invalid) THEN \(Statement.now) END)
            ON CONFLICT (project, pipeline, trigger) DO NOTHING RETURNING id
            """)
        guard let id = inserted.integers.first else { return nil }
        for (ordinal, step) in run.steps.enumerated() {
            let dependsOn = String(decoding: try JSONEncoder().encode(step.dependsOn), as: UTF8.self)
            try session.run(
                """
                INSERT INTO step (run, ordinal, name, image, dependsOn, state)
                VALUES (\(id), \(ordinal), \(step.name), \(step.image), \(dependsOn), 'waiting')
                """)
        }
        try session.recordEvent(
            project: run.project, run: id, actor: run.author, state: state.rawValue, message: "\(run.event) for \(run.pipeline)")
        return id
    }

    public func postponeDelivery(_ id: Int64, reason: String, delay: Double, final: Bool) async throws {
        try await run(
            """
            UPDATE delivery SET attempts = attempts + 1, nextAttemptAt = \(Statement.now) + \(delay), outcome = \(reason),
                state = \(final ? "failed" : "received")
            WHERE id = \(id) AND state = 'received'
            """)
    }
}
