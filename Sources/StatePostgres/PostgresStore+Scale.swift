public import DeliveryModel
import StateStore

extension PostgresStore {
    public func scales() async throws -> [Scale] {
        try await read { try $0.run("SELECT * FROM scale ORDER BY project, pipeline, stage").records() }
    }

    public func save(_ scale: Scale) async throws -> Bool {
        try await write { session in
            // A deployment that is claimed at the same moment is seen, or begins with what is written here.
            try session.hold(project: scale.project)
            let moving = try session.run(
                """
                SELECT id FROM deployment WHERE project = \(scale.project) AND pipeline = \(scale.pipeline) AND stage = \(scale.stage)
                  AND phase NOT IN ('succeeded', 'failed', 'rejected', 'superseded', 'awaitingApproval', 'queued') LIMIT 1
                """)
            guard moving.integers.isEmpty else { return false }
            try session.run(
                """
                INSERT INTO scale (project, pipeline, stage, replicas, reason, at)
                VALUES (\(scale.project), \(scale.pipeline), \(scale.stage), \(scale.replicas), \(scale.reason), \(Statement.now))
                ON CONFLICT (project, pipeline, stage)
                DO UPDATE SET replicas = excluded.replicas, reason = excluded.reason, at = excluded.at
                """)
            let live = try session.run(
                """
                SELECT id FROM deployment WHERE project = \(scale.project) AND pipeline = \(scale.pipeline) AND stage = \(scale.stage)
                  AND phase = 'succeeded' ORDER BY id DESC LIMIT 1
                """)
            try session.recordEvent(project: scale.project, deployment: live.integers.first, actor: "slipway", message: scale.sentence)
            return true
        }
    }
}
