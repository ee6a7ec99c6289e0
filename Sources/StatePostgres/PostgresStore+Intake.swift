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
            let jobs = try session.run(
                "SELECT state FROM job WHERE project = \(name) AND finishedAt IS NULL ORDER BY id FOR UPDATE")
            if jobs.texts.contains(where: { $0 != "queued" }) { return .busy }
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

    public func claimDelivery(holder: String, leaseSeconds: Double) async throws -> Delivery? {
        try await run(
            """
            WITH due AS MATERIALIZED (
                SELECT id FROM delivery WHERE state = 'received' AND nextAttemptAt <= \(Statement.now)
                  AND leaseExpiresAt <= \(Statement.now)
                ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
            UPDATE delivery SET epoch = epoch + 1, starts = starts + 1, holder = \(holder),
                leaseExpiresAt = \(Statement.now) + \(leaseSeconds)
            FROM due WHERE delivery.id = due.id
            RETURNING delivery.*
            """
        ).record()
    }

    public func renewDelivery(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        try await run(
            """
            UPDATE delivery SET leaseExpiresAt = \(Statement.now) + \(leaseSeconds)
            WHERE id = \(id) AND epoch = \(epoch) AND state = 'received'
            """
        ).changed > 0
    }

    public func failedDeliveries(project: String, startedMoreThan starts: Int) async throws -> [Int64] {
        try await read {
            try $0.run(
                "SELECT id FROM delivery WHERE project = \(project) AND state = 'failed' AND starts > \(starts) ORDER BY id DESC"
            ).integers
        }
    }

    public func retryDelivery(_ id: Int64) async throws -> String? {
        try await write { session in
            let retried = try session.run(
                """
                UPDATE delivery SET state = 'received', attempts = 0, starts = 0, nextAttemptAt = \(Statement.now), leaseExpiresAt = 0
                WHERE id = \(id) AND state = 'failed' RETURNING project
                """)
            try session.announce()
            return retried.texts.first
        }
    }

    public func deliveries(project: String, limit: Int) async throws -> [Delivery] {
        try await read {
            try $0.run("SELECT * FROM delivery WHERE project = \(project) ORDER BY id DESC LIMIT \(limit)").records()
        }
    }

    public func finishDelivery(_ id: Int64, outcome: String, runs: [NewRun]) async throws -> [Int64] {
        try await write { session in
            // Of two deliveries of one push the second must see the runs of the first.
            if let project = runs.first?.project { try session.hold(project: project) }
            let finished = try session.run(
                """
                UPDATE delivery SET state = 'processed', outcome = \(outcome), starts = 0, holder = NULL, leaseExpiresAt = 0
                WHERE id = \(id) AND state = 'received' RETURNING before
                """)
            guard let row = finished.cells.first else { return [] }
            var before: String?
            if case .text(let commit)? = row.first { before = commit }
            let told = try runs.filter { try session.isTold($0, before: before) }.map(\.pipeline)
            if !told.isEmpty {
                let note = "; no second run of this push: \(told.joined(separator: ", "))"
                try session.run("UPDATE delivery SET outcome = outcome || \(note) WHERE id = \(id)")
            }
            let ids: [Int64] = try runs.filter { !told.contains($0.pipeline) }.compactMap { run in
                guard case .created(let id) = try Self.insert(run, actor: run.author, session) else { return nil }
                return id
            }
            if !ids.isEmpty { try session.announce() }
            return ids
        }
    }

    public func postponeDelivery(_ id: Int64, reason: String, delay: Double, final: Bool) async throws {
        try await run(
            """
            UPDATE delivery SET attempts = attempts + 1, nextAttemptAt = \(Statement.now) + \(delay), outcome = \(reason),
                state = \(final ? "failed" : "received"), starts = CASE WHEN \(final) THEN starts ELSE 0 END,
                holder = NULL, leaseExpiresAt = 0
            WHERE id = \(id) AND state = 'received'
            """)
    }
}
