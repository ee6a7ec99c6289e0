public import DeliveryModel
public import StateStore

extension PostgresStore {
    public func runs(project: String, commit: String) async throws -> [Run] {
        try await read {
            try $0.run(
                """
                SELECT * FROM run WHERE id IN (
                    SELECT max(id) FROM run WHERE project = \(project) AND commit = \(commit) AND event <> 'pull_request' GROUP BY pipeline)
                ORDER BY pipeline
                """
            ).records()
        }
    }

    public func formTrain(_ name: String, of deployments: [Int64]) async throws -> Int64? {
        try await write { try Self.form(name, of: deployments, $0) }
    }

    public func createTrain(_ name: String, _ deployments: [(deployment: NewDeployment, release: Int64)]) async throws -> [Int64] {
        try await write { session in
            let ids = try deployments.map { try Self.insert($0.deployment, release: $0.release, session) }
            guard try Self.form(name, of: ids, session) != nil else {
                throw StateError(.exists, "the deployments of the train '\(name)' wait for approval", hint: "approve them one by one")
            }
            return ids
        }
    }

    private static func form(_ name: String, of ids: [Int64], _ session: Session) throws -> Int64? {
        var members: [Deployment] = []
        // In one order, so that two servers do not wait for each other.
        for id in Set(ids).sorted() {
            guard let member: Deployment = try session.run("SELECT * FROM deployment WHERE id = \(id) FOR UPDATE").record(),
                member.phase == .queued, member.train == nil
            else { return nil }
            members.append(member)
        }
        guard let first = members.first else { return nil }
        let inserted = try session.run(
            """
            INSERT INTO train (project, name, stage, state, createdAt)
            VALUES (\(first.project), \(name), \(first.stage), 'open', \(Statement.now)) RETURNING id
            """)
        guard let id = inserted.integers.first else { throw PostgresFailure(message: "a train was inserted and is not there") }
        for member in members {
            try session.run("UPDATE deployment SET train = \(id), heldUntil = NULL, heldFor = NULL WHERE id = \(member.id)")
            try session.recordEvent(
                project: member.project, deployment: member.id, actor: "slipway",
                message: "in the train '\(name)' with \(members.map(\.pipeline).filter { $0 != member.pipeline }.joined(separator: ", "))")
        }
        try session.announce()
        return id
    }

    public func train(_ id: Int64) async throws -> Train? {
        try await read { try $0.run("SELECT * FROM train WHERE id = \(id)").record() }
    }

    public func deployments(ofTrain train: Int64) async throws -> [Deployment] {
        try await read { try $0.run("SELECT * FROM deployment WHERE train = \(train) ORDER BY id").records() }
    }

    public func settleTrain(_ id: Int64, _ decision: Train.State, reason: String?) async throws -> Train? {
        try await write { session in
            try session.run("UPDATE train SET state = \(decision.rawValue), reason = \(reason) WHERE id = \(id) AND state = 'open'")
            try session.announce()
            return try session.run("SELECT * FROM train WHERE id = \(id)").record()
        }
    }
}
