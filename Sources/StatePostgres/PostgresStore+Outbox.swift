import DeliveryModel
import FoundationEssentials
public import StateStore

extension PostgresStore {
    public func save(_ target: NewOutboxTarget) async throws -> Int64 {
        let events = String(decoding: try JSONEncoder().encode(target.events), as: UTF8.self)
        return try await write { session in
            try session.hold(project: target.project)
            if target.kind.isForge {
                let known = try session.run(
                    """
                    UPDATE outboxTarget SET kind = \(target.kind), url = \(target.url), events = \(events),
                        sealedSecret = \(target.sealedSecret), tokenSecret = \(target.tokenSecret)
                    WHERE project = \(target.project) AND kind <> 'webhook' RETURNING id
                    """)
                if let id = known.integers.first { return id }
            }
            let inserted = try session.run(
                """
                INSERT INTO outboxTarget (kind, url, events, sealedSecret, tokenSecret, project, createdAt)
                VALUES (\(target.kind), \(target.url), \(events), \(target.sealedSecret), \(target.tokenSecret),
                    \(target.project), \(Statement.now))
                RETURNING id
                """)
            guard let id = inserted.integers.first else {
                throw PostgresFailure(message: "a target of messages was inserted and has no id")
            }
            return id
        }
    }

    public func outboxTarget(_ id: Int64) async throws -> OutboxTarget? {
        try await read { try $0.run("SELECT * FROM outboxTarget WHERE id = \(id)").record() }
    }

    public func outboxTargets(project: String) async throws -> [OutboxTarget] {
        try await read { try $0.targets(of: project) }
    }

    public func removeOutboxTarget(_ id: Int64, project: String) async throws -> Bool {
        try await run("DELETE FROM outboxTarget WHERE id = \(id) AND project = \(project)").changed > 0
    }

    public func claimMessage(holder: String, leaseSeconds: Double) async throws -> OutboxMessage? {
        // Most of the time there is nothing: a look disturbs nobody who writes.
        let isDue = try await read {
            try !$0.run(
                """
                SELECT 1 FROM outboxMessage
                WHERE state = 'waiting' AND nextAttemptAt <= \(Statement.now) AND leaseExpiresAt <= \(Statement.now) LIMIT 1
                """
            ).cells.isEmpty
        }
        guard isDue else { return nil }
        return try await write { session in
            try session.run(
                """
                UPDATE outboxMessage SET state = 'skipped', finishedAt = \(Statement.now), problem = 'a newer one took its place'
                WHERE id IN (
                    SELECT m.id FROM outboxMessage m
                    WHERE m.state = 'waiting' AND m.leaseExpiresAt <= \(Statement.now) AND m.topic IS NOT NULL
                      AND EXISTS (SELECT 1 FROM outboxMessage n WHERE n.target = m.target AND n.topic = m.topic
                          AND n.id > m.id AND n.state <> 'discarded')
                    ORDER BY m.id FOR UPDATE SKIP LOCKED)
                """)
            return try session.run(
                """
                WITH due AS MATERIALIZED (
                    SELECT m.id FROM outboxMessage m
                    WHERE m.state = 'waiting' AND m.nextAttemptAt <= \(Statement.now) AND m.leaseExpiresAt <= \(Statement.now)
                      AND NOT EXISTS (SELECT 1 FROM outboxMessage o WHERE o.target = m.target AND o.state = 'waiting'
                          AND o.id <> m.id AND (o.id < m.id OR o.leaseExpiresAt > \(Statement.now)))
                    ORDER BY m.nextAttemptAt, m.id LIMIT 1 FOR UPDATE OF m SKIP LOCKED)
                UPDATE outboxMessage SET epoch = epoch + 1, attempts = attempts + 1, holder = \(holder),
                    leaseExpiresAt = \(Statement.now) + \(leaseSeconds)
                FROM due WHERE outboxMessage.id = due.id
                RETURNING outboxMessage.*
                """
            ).record()
        }
    }

    public func finishMessage(_ id: Int64, epoch: Int64, outcome: MessageOutcome) async throws -> Bool {
        let state: OutboxMessage.State
        var pause = 0.0
        var problem: String?
        switch outcome {
        case .sent: state = .sent
        case .postponed(let seconds, let reason): (state, pause, problem) = (.waiting, seconds, reason)
        case .dead(let reason): (state, problem) = (.dead, reason)
        }
        let (ended, delay, why) = (state, pause, problem)
        return try await write { session in
            let finished = try session.run(
                """
                UPDATE outboxMessage SET state = \(ended), nextAttemptAt = \(Statement.now) + \(delay), problem = \(why),
                    finishedAt = CASE WHEN \(ended != .waiting) THEN \(Statement.now) END, holder = NULL, leaseExpiresAt = 0
                WHERE id = \(id) AND epoch = \(epoch) AND state = 'waiting'
                """)
            try session.run(
                """
                DELETE FROM outboxMessage
                WHERE finishedAt < \(Statement.now) - \(7.0 * 86_400) AND state IN ('sent', 'skipped', 'discarded')
                """)
            return finished.changed > 0
        }
    }

    public func messages(project: String?, states: [OutboxMessage.State], limit: Int) async throws -> [OutboxMessage] {
        if states.isEmpty { return [] }
        let wanted = Statement.joined(states.map { "\($0)" }, by: ", ")
        return try await read {
            try $0.run(
                """
                SELECT * FROM outboxMessage WHERE (\(project) IS NULL OR project = \(project)) AND state IN (\(wanted))
                ORDER BY id DESC LIMIT \(limit)
                """
            ).records()
        }
    }

    public func retryMessage(_ id: Int64) async throws -> Bool {
        try await run(
            """
            UPDATE outboxMessage SET state = 'waiting', attempts = 0, nextAttemptAt = \(Statement.now), finishedAt = NULL
            WHERE id = \(id) AND state = 'dead'
            """
        ).changed > 0
    }

    public func discardMessage(_ id: Int64) async throws -> Bool {
        try await run(
            """
            UPDATE outboxMessage SET state = 'discarded', finishedAt = \(Statement.now)
            WHERE id = \(id) AND (state = 'dead' OR (state = 'waiting' AND leaseExpiresAt <= \(Statement.now)))
            """
        ).changed > 0
    }
}

extension Session {
    fileprivate func targets(of project: String) throws -> [OutboxTarget] {
        try run("SELECT * FROM outboxTarget WHERE project = \(project) ORDER BY id").records()
    }

    /// Writes a message for every target that takes it, within the transaction that made it happen.
    func tell(_ announcement: Announcement) throws {
        let takers = try targets(of: announcement.project).filter { $0.takes(announcement) }
        guard !takers.isEmpty else { return }
        let facts = String(decoding: try JSONEncoder().encode(announcement), as: UTF8.self)
        for target in takers {
            try run(
                """
                INSERT INTO outboxMessage (key, project, target, topic, facts, state, nextAttemptAt, createdAt)
                VALUES (\(UUID().uuidString.lowercased()), \(announcement.project), \(target.id), \(target.topic(of: announcement)),
                    \(facts), 'waiting', \(announcement.at), \(announcement.at))
                """)
        }
    }

    /// The same for a run as the transaction has it.
    func tell(run id: Int64) throws {
        guard let found: Run = try run("SELECT * FROM run WHERE id = \(id)").record() else { return }
        try tell(Announcement(found))
    }

    /// The same for a deployment as the transaction has it, when its phase is one to be told.
    func tell(deployment id: Int64) throws {
        guard let deployment: Deployment = try run("SELECT * FROM deployment WHERE id = \(id)").record(),
            let release: Release = try run("SELECT * FROM release WHERE id = \(deployment.release)").record(),
            let announcement = Announcement(deployment, of: release)
        else { return }
        try tell(announcement)
    }
}
