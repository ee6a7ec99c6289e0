public import DeliveryModel
import GRDB
import StateStore

extension SQLiteStore {
    public func scales() async throws -> [Scale] {
        try await read { try Scale.fetchAll($0, sql: "SELECT * FROM scale ORDER BY project, pipeline, stage") }
    }

    public func save(_ scale: Scale) async throws -> Bool {
        let now = clock()
        return try await write { db in
            let place: StatementArguments = [scale.project, scale.pipeline, scale.stage]
            let isMoving = try Bool.fetchOne(
                db,
                sql: """
                    SELECT EXISTS (SELECT 1 FROM deployment WHERE project = ? AND pipeline = ? AND stage = ?
                        AND phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded', 'awaitingApproval', 'queued'))
                    """, arguments: place)
            guard isMoving != true else { return false }
            try db.execute(
                sql: """
                    INSERT INTO scale (project, pipeline, stage, replicas, reason, at) VALUES (?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET replicas = excluded.replicas, reason = excluded.reason, at = excluded.at
                    """, arguments: place + [scale.replicas, scale.reason, now])
            let live = try Int64.fetchOne(
                db, sql: "SELECT max(id) FROM deployment WHERE project = ? AND pipeline = ? AND stage = ? AND phase = 'succeeded'",
                arguments: place)
            try recordEvent(db, at: now, project: scale.project, deployment: live, actor: "slipway", message: scale.sentence)
            return true
        }
    }
}
