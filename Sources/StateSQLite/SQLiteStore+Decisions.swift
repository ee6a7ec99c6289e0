import DeliveryModel
import FoundationEssentials
import GRDB
import OCIModel
public import StateStore

extension SQLiteStore {
    public func releaseLeases(holder: String, orderly: Bool) async throws {
        try await write { db in
            if orderly {
                try db.execute(
                    sql: "UPDATE run SET starts = 0 WHERE holder = ? AND state = 'running' AND state IN ('queued', 'running')",
                    arguments: [holder])
                try db.execute(sql: "UPDATE delivery SET starts = 0 WHERE holder = ? AND state = 'received'", arguments: [holder])
            }
            for (table, isOpen) in Self.leased {
                try db.execute(sql: "UPDATE \(table) SET leaseExpiresAt = 0 WHERE holder = ? AND \(isOpen)", arguments: [holder])
            }
        }
    }

    /// What can be held, and when it can: as the index of what is open has it, word for word, so that SQLite sees it.
    static let leased = [
        ("run", "state IN ('queued', 'running')"), ("deployment", "phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded')"),
        ("job", "finishedAt IS NULL"), ("outboxMessage", "state = 'waiting'"), ("delivery", "state = 'received'"), ("lease", "TRUE"),
    ]

    public func record(project: String, run: Int64?, deployment: Int64?, actor: String, message: String) async throws {
        let now = clock()
        try await write {
            try recordEvent(
                $0, at: now, project: project, run: run, deployment: deployment, actor: actor, message: message)
        }
    }

    public func events(project: String?, run: Int64?, deployment: Int64?, limit: Int) async throws -> [RecordedEvent] {
        // Only with the conditions that are asked for can an index be used.
        let wanted = [("project", project?.databaseValue), ("run", run?.databaseValue), ("deployment", deployment?.databaseValue)]
            .compactMap { column, value in value.map { (column, $0) } }
        let filter = wanted.isEmpty ? "" : "WHERE " + wanted.map { "\($0.0) = ?" }.joined(separator: " AND ")
        let arguments = StatementArguments(wanted.map(\.1)) + [limit]
        return try await read {
            try RecordedEvent.fetchAll($0, sql: "SELECT * FROM event \(filter) ORDER BY id DESC LIMIT ?", arguments: arguments)
        }
    }

    public func setSecret(_ name: String, project: String, sealed: [UInt8]) async throws {
        try await write {
            try $0.execute(
                sql: """
                    INSERT INTO secret (project, name, sealed) VALUES (?, ?, ?)
                    ON CONFLICT (project, name) DO UPDATE SET sealed = excluded.sealed
                    """, arguments: [project, name, Data(sealed)])
        }
    }

    public func secrets(project: String) async throws -> [String: [UInt8]] {
        try await read { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT name, sealed FROM secret WHERE project = ?", arguments: [project])
            var secrets: [String: [UInt8]] = [:]
            for row in rows {
                let sealed: Data = row["sealed"]
                secrets[row["name"]] = Array(sealed)
            }
            return secrets
        }
    }

    public func removeSecret(_ name: String, project: String) async throws -> Bool {
        try await write { db in
            try db.execute(sql: "DELETE FROM secret WHERE project = ? AND name = ?", arguments: [project, name])
            return db.changesCount > 0
        }
    }
}
