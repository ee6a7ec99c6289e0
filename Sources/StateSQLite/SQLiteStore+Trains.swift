public import DeliveryModel
import GRDB
public import StateStore

extension SQLiteStore {
    public func runs(project: String, commit: String) async throws -> [Run] {
        try await read {
            try Run.fetchAll(
                $0,
                sql: """
                    SELECT * FROM run WHERE id IN (
                        SELECT max(id) FROM run WHERE project = ? AND "commit" = ? AND event <> 'pull_request' GROUP BY pipeline)
                    ORDER BY pipeline
                    """, arguments: [project, commit])
        }
    }

    public func formTrain(_ name: String, of deployments: [Int64]) async throws -> Int64? {
        let now = clock()
        return try await write { try Self.form(name, of: deployments, now: now, $0) }
    }

    public func createTrain(_ name: String, _ deployments: [(deployment: NewDeployment, release: Int64)]) async throws -> [Int64] {
        let now = clock()
        return try await write { db in
            let ids = try deployments.map { try Self.insert($0.deployment, release: $0.release, now: now, db) }
            guard try Self.form(name, of: ids, now: now, db) != nil else {
                throw StateError(.exists, "the deployments of the train '\(name)' wait for approval", hint: "approve them one by one")
            }
            return ids
        }
    }

    private static func form(_ name: String, of ids: [Int64], now: Double, _ db: GRDB.Database) throws -> Int64? {
        let members = try ids.map { try Deployment.fetchOne(db, sql: "SELECT * FROM deployment WHERE id = ?", arguments: [$0]) }.compactMap { $0 }
        guard let first = members.first, members.count == ids.count, members.allSatisfy({ $0.phase == .queued && $0.train == nil })
        else { return nil }
        try db.execute(
            sql: "INSERT INTO train (project, name, stage, state, createdAt) VALUES (?, ?, ?, 'open', ?)",
            arguments: [first.project, name, first.stage, now])
        let id = db.lastInsertedRowID
        for member in members {
            try db.execute(
                sql: "UPDATE deployment SET train = ?, heldUntil = NULL, heldFor = NULL WHERE id = ?", arguments: [id, member.id])
            try recordEvent(
                db, at: now, project: member.project, deployment: member.id, actor: "slipway", state: nil,
                message: "in the train '\(name)' with \(members.map(\.pipeline).filter { $0 != member.pipeline }.joined(separator: ", "))")
        }
        return id
    }

    public func train(_ id: Int64) async throws -> Train? {
        try await read { try Train.fetchOne($0, sql: "SELECT * FROM train WHERE id = ?", arguments: [id]) }
    }

    public func deployments(ofTrain train: Int64) async throws -> [Deployment] {
        try await read { try Deployment.fetchAll($0, sql: "SELECT * FROM deployment WHERE train = ? ORDER BY id", arguments: [train]) }
    }

    public func settleTrain(_ id: Int64, _ decision: Train.State, reason: String?) async throws -> Train? {
        try await write { db in
            try db.execute(
                sql: "UPDATE train SET state = ?, reason = ? WHERE id = ? AND state = 'open'", arguments: [decision.rawValue, reason, id])
            return try Train.fetchOne(db, sql: "SELECT * FROM train WHERE id = ?", arguments: [id])
        }
    }
}
