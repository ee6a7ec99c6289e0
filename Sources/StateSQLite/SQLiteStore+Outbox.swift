import DeliveryModel
import FoundationEssentials
import GRDB
public import StateStore

extension SQLiteStore {
    public func save(_ target: NewOutboxTarget) async throws -> Int64 {
        let events = String(decoding: try JSONEncoder().encode(target.events), as: UTF8.self)
        let now = clock()
        return try await write { db in
            let values: StatementArguments = [target.kind.rawValue, target.url, events, target.sealedSecret, target.tokenSecret]
            if target.kind.isForge {
                let known = try Int64.fetchOne(
                    db,
                    sql: """
                        UPDATE outboxTarget SET kind = ?, url = ?, events = ?, sealedSecret = ?, tokenSecret = ?
                        WHERE project = ? AND kind <> 'webhook' RETURNING id
                        """, arguments: values + [target.project])
                if let known { return known }
            }
            try db.execute(
                sql: """
                    INSERT INTO outboxTarget (kind, url, events, sealedSecret, tokenSecret, project, createdAt)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    """, arguments: values + [target.project, now])
            return db.lastInsertedRowID
        }
    }

    public func outboxTarget(_ id: Int64) async throws -> OutboxTarget? {
        try await read { try OutboxTarget.fetchOne($0, sql: "SELECT * FROM outboxTarget WHERE id = ?", arguments: [id]) }
    }

    public func outboxTargets(project: String) async throws -> [OutboxTarget] {
        try await read { try targets($0, of: project) }
    }

    public func removeOutboxTarget(_ id: Int64, project: String) async throws -> Bool {
        try await write { db in
            try db.execute(sql: "DELETE FROM outboxTarget WHERE id = ? AND project = ?", arguments: [id, project])
            return db.changesCount > 0
        }
    }

    public func claimMessage(holder: String, leaseSeconds: Double) async throws -> OutboxMessage? {
        let now = clock()
        // Most of the time there is nothing: a look disturbs nobody who writes.
        let isDue = try await read {
            try Bool.fetchOne(
                $0,
                sql: """
                    SELECT EXISTS (SELECT 1 FROM outboxMessage
                        WHERE state = 'waiting' AND nextAttemptAt <= :now AND leaseExpiresAt <= :now)
                    """, arguments: ["now": now])
        }
        guard isDue == true else { return nil }
        return try await write { db in
            try db.execute(
                sql: """
                    UPDATE outboxMessage SET state = 'skipped', finishedAt = :now,
                        problem = 'a newer one took its place'
                    WHERE state = 'waiting' AND leaseExpiresAt <= :now AND topic IS NOT NULL
                      AND EXISTS (SELECT 1 FROM outboxMessage n WHERE n.target = outboxMessage.target
                          AND n.topic = outboxMessage.topic AND n.id > outboxMessage.id AND n.state <> 'discarded')
                    """, arguments: ["now": now])
            return try OutboxMessage.fetchOne(
                db,
                sql: """
                    UPDATE outboxMessage SET epoch = epoch + 1, attempts = attempts + 1, holder = :holder,
                        leaseExpiresAt = :expires
                    WHERE id = (
                        SELECT m.id FROM outboxMessage m
                        WHERE m.state = 'waiting' AND m.nextAttemptAt <= :now AND m.leaseExpiresAt <= :now
                          AND NOT EXISTS (SELECT 1 FROM outboxMessage o WHERE o.target = m.target
                              AND o.state = 'waiting' AND o.id <> m.id
                              AND (o.id < m.id OR o.leaseExpiresAt > :now))
                        ORDER BY m.nextAttemptAt, m.id LIMIT 1)
                    RETURNING *
                    """, arguments: ["holder": holder, "expires": now + leaseSeconds, "now": now])
        }
    }

    public func finishMessage(_ id: Int64, epoch: Int64, outcome: MessageOutcome) async throws -> Bool {
        let now = clock()
        let state: OutboxMessage.State
        var next = now
        var problem: String?
        switch outcome {
        case .sent: state = .sent
        case .postponed(let seconds, let reason): (state, next, problem) = (.waiting, now + seconds, reason)
        case .dead(let reason): (state, problem) = (.dead, reason)
        }
        let values: StatementArguments = [state.rawValue, next, problem, state == .waiting ? nil : now, id, epoch]
        return try await write { db in
            try db.execute(
                sql: """
                    UPDATE outboxMessage SET state = ?, nextAttemptAt = ?, problem = ?, finishedAt = ?, holder = NULL,
                        leaseExpiresAt = 0
                    WHERE id = ? AND epoch = ? AND state = 'waiting'
                    """, arguments: values)
            let isOurs = db.changesCount > 0
            try db.execute(
                sql: "DELETE FROM outboxMessage WHERE finishedAt < ? AND state IN ('sent', 'skipped', 'discarded')",
                arguments: [now - 7 * 86_400])
            return isOurs
        }
    }

    public func messages(project: String?, states: [OutboxMessage.State], limit: Int) async throws -> [OutboxMessage] {
        let wanted = states.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        // As the index of what is open has it, so that SQLite sees it.
        let open = Set(states).isSubset(of: [.waiting, .dead]) ? "AND state IN ('waiting', 'dead')" : ""
        let filter = project == nil ? "" : "AND project = ?"
        return try await read {
            try OutboxMessage.fetchAll(
                $0, sql: "SELECT * FROM outboxMessage WHERE state IN (\(wanted)) \(open) \(filter) ORDER BY id DESC LIMIT ?",
                arguments: StatementArguments(project.map { [$0] } ?? []) + [limit])
        }
    }

    public func retryMessage(_ id: Int64) async throws -> Bool {
        let now = clock()
        return try await write { db in
            try db.execute(
                sql: """
                    UPDATE outboxMessage SET state = 'waiting', attempts = 0, nextAttemptAt = ?, finishedAt = NULL
                    WHERE id = ? AND state = 'dead'
                    """, arguments: [now, id])
            return db.changesCount > 0
        }
    }

    public func discardMessage(_ id: Int64) async throws -> Bool {
        let now = clock()
        return try await write { db in
            try db.execute(
                sql: """
                    UPDATE outboxMessage SET state = 'discarded', finishedAt = :now
                    WHERE id = :id AND (state = 'dead' OR (state = 'waiting' AND leaseExpiresAt <= :now))
                    """, arguments: ["now": now, "id": id])
            return db.changesCount > 0
        }
    }
}

private func targets(_ db: GRDB.Database, of project: String) throws -> [OutboxTarget] {
    try OutboxTarget.fetchAll(db, sql: "SELECT * FROM outboxTarget WHERE project = ? ORDER BY id", arguments: [project])
}

/// Writes a message for every target that takes it, within the transaction that made it happen.
func announce(_ db: GRDB.Database, _ announcement: Announcement) throws {
    let takers = try targets(db, of: announcement.project).filter { $0.takes(announcement) }
    guard !takers.isEmpty else { return }
    let facts = String(decoding: try JSONEncoder().encode(announcement), as: UTF8.self)
    for target in takers {
        try db.execute(
            sql: """
                INSERT INTO outboxMessage (key, project, target, topic, facts, state, nextAttemptAt, createdAt)
                VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?)
                """,
            arguments: [
                UUID().uuidString.lowercased(), announcement.project, target.id, target.topic(of: announcement), facts,
                announcement.at, announcement.at,
            ])
    }
}

/// The same for a run as the transaction has it.
func announce(_ db: GRDB.Database, run id: Int64) throws {
    guard let run = try Run.fetchOne(db, sql: "SELECT * FROM run WHERE id = ?", arguments: [id]) else { return }
    try announce(db, Announcement(run))
}

/// The same for a deployment as the transaction has it, when its phase is one to be told.
func announce(_ db: GRDB.Database, deployment id: Int64) throws {
    guard let deployment = try Deployment.fetchOne(db, sql: "SELECT * FROM deployment WHERE id = ?", arguments: [id]),
        let release = try Release.fetchOne(
            db, sql: #"SELECT * FROM release WHERE id = ?"#, arguments: [deployment.release]),
        let announcement = Announcement(deployment, of: release)
    else { return }
    try announce(db, announcement)
}
