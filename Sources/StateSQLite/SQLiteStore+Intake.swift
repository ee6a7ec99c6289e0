import DeliveryModel
import FoundationEssentials
import GRDB
public import StateStore

extension SQLiteStore {
    public func add(_ project: Project) async throws {
        do {
            try await write { try project.insert($0) }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {
            throw StateError(
                .exists, "there is a project '\(project.name)' already",
                hint: "choose another name, or remove it first with: slipway project remove \(project.name)")
        }
    }

    public func project(_ name: String) async throws -> Project? {
        try await read { try Project.fetchOne($0, sql: "SELECT * FROM project WHERE name = ?", arguments: [name]) }
    }

    public func projects() async throws -> [Project] {
        try await read { try Project.fetchAll($0, sql: "SELECT * FROM project ORDER BY name") }
    }

    public func removeProject(_ name: String) async throws -> RemovalOutcome {
        try await write { db in
            // The plus keeps SQLite from the project's index: little is open, much is the project's.
            let busy = try Int.fetchOne(
                db,
                sql: """
                    SELECT (SELECT count(*) FROM run
                            WHERE +project = :name AND state IN ('queued', 'running') AND state = 'running')
                         + (SELECT count(*) FROM deployment
                            WHERE +project = :name AND phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded')
                              AND phase NOT IN ('awaitingApproval', 'queued'))
                         + (SELECT count(*) FROM job WHERE +project = :name AND finishedAt IS NULL AND state <> 'queued')
                    """, arguments: ["name": name])
            if let busy, busy > 0 { return .busy }
            try db.execute(sql: "DELETE FROM project WHERE name = ?", arguments: [name])
            return db.changesCount > 0 ? .removed : .unknown
        }
    }

    public func accept(_ delivery: NewDelivery) async throws -> AcceptOutcome {
        let headers = String(decoding: try JSONEncoder().encode(delivery.headers), as: UTF8.self)
        let now = clock()
        return try await write { db in
            try db.execute(
                sql: """
                    INSERT INTO delivery (project, forge, forgeID, headers, body, event, branch, tag, "commit", before,
                        receivedAt, state, attempts, nextAttemptAt)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'received', 0, ?)
                    ON CONFLICT (project, forge, forgeID) DO NOTHING
                    """,
                arguments: [
                    delivery.project, delivery.forge, delivery.forgeID, headers, Data(delivery.body), delivery.event,
                    delivery.branch, delivery.tag, delivery.commit, delivery.before, now, now,
                ])
            if db.changesCount > 0 { return .accepted(db.lastInsertedRowID) }
            let id = try Int64.fetchOne(
                db, sql: "SELECT id FROM delivery WHERE project = ? AND forge = ? AND forgeID = ?",
                arguments: [delivery.project, delivery.forge, delivery.forgeID])
            return .duplicate(id ?? 0)
        }
    }

    public func claimDelivery(holder: String, leaseSeconds: Double) async throws -> Delivery? {
        let now = clock()
        // Most of the time there is nothing: a look disturbs nobody who writes.
        let isDue = try await read {
            try Bool.fetchOne(
                $0,
                sql: """
                    SELECT EXISTS (SELECT 1 FROM delivery
                        WHERE state = 'received' AND nextAttemptAt <= :now AND leaseExpiresAt <= :now)
                    """, arguments: ["now": now])
        }
        guard isDue == true else { return nil }
        return try await write { db in
            try Delivery.fetchOne(
                db,
                sql: """
                    UPDATE delivery SET epoch = epoch + 1, starts = starts + 1, holder = :holder, leaseExpiresAt = :expires
                    WHERE id = (SELECT id FROM delivery WHERE state = 'received' AND nextAttemptAt <= :now
                                AND leaseExpiresAt <= :now ORDER BY id LIMIT 1)
                    RETURNING *
                    """, arguments: ["holder": holder, "expires": now + leaseSeconds, "now": now])
        }
    }

    public func renewDelivery(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool {
        let expires = clock() + leaseSeconds
        return try await write { db in
            try db.execute(
                sql: "UPDATE delivery SET leaseExpiresAt = ? WHERE id = ? AND epoch = ? AND state = 'received'",
                arguments: [expires, id, epoch])
            return db.changesCount > 0
        }
    }

    public func failedDeliveries(project: String, startedMoreThan starts: Int) async throws -> [Int64] {
        try await read {
            try Int64.fetchAll(
                $0, sql: "SELECT id FROM delivery WHERE project = ? AND state = 'failed' AND starts > ? ORDER BY id DESC",
                arguments: [project, starts])
        }
    }

    public func retryDelivery(_ id: Int64) async throws -> String? {
        let now = clock()
        return try await write { db in
            try String.fetchOne(
                db,
                sql: """
                    UPDATE delivery SET state = 'received', attempts = 0, starts = 0, nextAttemptAt = ?, leaseExpiresAt = 0
                    WHERE id = ? AND state = 'failed' RETURNING project
                    """, arguments: [now, id])
        }
    }

    public func deliveries(project: String, limit: Int) async throws -> [Delivery] {
        try await read {
            try Delivery.fetchAll(
                $0, sql: "SELECT * FROM delivery WHERE project = ? ORDER BY id DESC LIMIT ?",
                arguments: [project, limit])
        }
    }

    public func finishDelivery(_ id: Int64, outcome: String, runs: [NewRun]) async throws -> [Int64] {
        let now = clock()
        return try await write { db in
            try db.execute(
                sql: """
                    UPDATE delivery SET state = 'processed', outcome = ?, starts = 0, holder = NULL, leaseExpiresAt = 0
                    WHERE id = ? AND state = 'received'
                    """, arguments: [outcome, id])
            guard db.changesCount > 0 else { return [] }
            let before = try String.fetchOne(db, sql: "SELECT before FROM delivery WHERE id = ?", arguments: [id])
            let told = try runs.filter { try isTold($0, before: before, db) }.map(\.pipeline)
            if !told.isEmpty {
                try db.execute(
                    sql: "UPDATE delivery SET outcome = outcome || ? WHERE id = ?",
                    arguments: ["; no second run of this push: \(told.joined(separator: ", "))", id])
            }
            return try runs.filter { !told.contains($0.pipeline) }.compactMap { run in
                guard case .created(let id) = try Self.insert(run, actor: run.author, now: now, db) else { return nil }
                return id
            }
        }
    }

    public func postponeDelivery(_ id: Int64, reason: String, delay: Double, final: Bool) async throws {
        let now = clock()
        try await write { db in
            try db.execute(
                sql: """
                    UPDATE delivery SET attempts = attempts + 1, nextAttemptAt = ?, outcome = ?, state = ?,
                        starts = CASE WHEN ? THEN starts ELSE 0 END, holder = NULL, leaseExpiresAt = 0
                    WHERE id = ? AND state = 'received'
                    """, arguments: [now + delay, reason, final ? "failed" : "received", final, id])
        }
    }
}
