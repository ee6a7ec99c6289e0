import DeliveryModel
import OCIModel
public import StateStore

extension PostgresStore {
    public func releaseLeases(holder: String, orderly: Bool) async throws {
        try await write { session in
            if orderly {
                try session.run("UPDATE run SET starts = 0 WHERE holder = \(holder) AND state = 'running'")
                try session.run("UPDATE delivery SET starts = 0 WHERE holder = \(holder) AND state = 'received'")
            }
            try session.run("UPDATE outboxMessage SET leaseExpiresAt = 0 WHERE holder = \(holder)")
            try session.run("UPDATE delivery SET leaseExpiresAt = 0 WHERE holder = \(holder)")
            try session.run("UPDATE run SET leaseExpiresAt = 0 WHERE holder = \(holder)")
            try session.run("UPDATE deployment SET leaseExpiresAt = 0 WHERE holder = \(holder)")
            try session.run("UPDATE job SET leaseExpiresAt = 0 WHERE holder = \(holder) AND finishedAt IS NULL")
            try session.run("UPDATE lease SET leaseExpiresAt = 0 WHERE holder = \(holder)")
            try session.announce()
        }
    }

    public func record(project: String, run: Int64?, deployment: Int64?, actor: String, message: String) async throws {
        try await write {
            try $0.recordEvent(project: project, run: run, deployment: deployment, actor: actor, message: message)
        }
    }

    public func events(project: String?, run: Int64?, deployment: Int64?, limit: Int) async throws -> [RecordedEvent] {
        try await read {
            try $0.run(
                """
                SELECT * FROM event WHERE (\(project) IS NULL OR project = \(project))
                  AND (\(run) IS NULL OR run = \(run)) AND (\(deployment) IS NULL OR deployment = \(deployment))
                ORDER BY id DESC LIMIT \(limit)
                """
            ).records()
        }
    }

    public func setSecret(_ name: String, project: String, sealed: [UInt8]) async throws {
        try await run(
            """
            INSERT INTO secret (project, name, sealed) VALUES (\(project), \(name), \(sealed))
            ON CONFLICT (project, name) DO UPDATE SET sealed = excluded.sealed
            """)
    }

    public func secrets(project: String) async throws -> [String: [UInt8]] {
        try await read { try $0.secrets(project: project) }
    }

    public func removeSecret(_ name: String, project: String) async throws -> Bool {
        try await run("DELETE FROM secret WHERE project = \(project) AND name = \(name)").changed > 0
    }
}
