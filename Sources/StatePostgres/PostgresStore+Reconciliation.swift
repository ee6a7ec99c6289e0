import FoundationEssentials
public import StateStore

extension PostgresStore {
    public func reconciliation(of project: String) async throws -> Reconciliation? {
        try await read { try $0.run("SELECT * FROM reconciliation WHERE project = \(project)").record() }
    }

    public func reconcile(project: String, heads: [String: String], after last: Int64) async throws -> [Int64] {
        try await write { session in
            try session.hold(project: project)
            guard try session.exists("SELECT 1 FROM project WHERE name = \(project)") else { return [] }
            let isFirst = try !session.exists("SELECT 1 FROM reconciliation WHERE project = \(project) AND at IS NOT NULL")
            let known = Dictionary(
                uniqueKeysWithValues: try session.run(
                    "SELECT branch, commit, moves FROM branchHead WHERE project = \(project)"
                ).records(BranchHead.self).map { ($0.branch, $0) })
            var accepted: [Int64] = []
            for (branch, commit) in heads.sorted(by: { $0.key < $1.key }) where known[branch]?.commit != commit {
                let moves = (known[branch]?.moves ?? 0) + 1
                if !isFirst {
                    switch try session.knowledge(project: project, branch: branch, commit: commit, after: last) {
                    case .known: break
                    // What came while we looked is younger than what we saw.
                    case .moving: continue
                    case .unknown:
                        accepted += try session.run(
                            """
                            INSERT INTO delivery (project, forge, forgeID, headers, body, event, branch, commit, before,
                                receivedAt, state, attempts, nextAttemptAt)
                            VALUES (\(project), 'reconcile', \("\(branch)@\(commit).\(moves)"), '{}', \(Data()), 'push', \(branch),
                                \(commit), \(known[branch]?.commit), \(Statement.now), 'received', 0, \(Statement.now))
                            ON CONFLICT (project, forge, forgeID) DO NOTHING RETURNING id
                            """
                        ).integers
                    }
                }
                try session.run(
                    """
                    INSERT INTO branchHead (project, branch, commit, moves) VALUES (\(project), \(branch), \(commit), \(moves))
                    ON CONFLICT (project, branch) DO UPDATE SET commit = excluded.commit, moves = excluded.moves
                    """)
            }
            // A branch that comes back later is a new one: its count goes on, so that its delivery has an id of its own.
            for branch in known.keys where heads[branch] == nil && known[branch]?.commit != "" {
                try session.run("UPDATE branchHead SET commit = '' WHERE project = \(project) AND branch = \(branch)")
            }
            try session.run(
                """
                INSERT INTO reconciliation (project, at, problem) VALUES (\(project), \(Statement.now), NULL)
                ON CONFLICT (project) DO UPDATE SET at = excluded.at, problem = NULL
                """)
            if !accepted.isEmpty { try session.announce() }
            return accepted
        }
    }

    public func reconcileFailed(project: String, problem: String) async throws -> Bool {
        try await write { session in
            try session.hold(project: project)
            guard try session.exists("SELECT 1 FROM project WHERE name = \(project)") else { return false }
            let before: Reconciliation? = try session.run("SELECT * FROM reconciliation WHERE project = \(project)").record()
            try session.run(
                """
                INSERT INTO reconciliation (project, problem) VALUES (\(project), \(problem))
                ON CONFLICT (project) DO UPDATE SET problem = excluded.problem
                """)
            return before?.problem == nil
        }
    }
}

private struct BranchHead: Decodable {
    var branch: String
    var commit: String
    var moves: Int
}

/// A run as far as the question needs it whether a push was told before.
private struct ToldRun: Decodable {
    var id: Int64
    var trigger: String
    var commit: String
}

private enum HeadKnowledge { case known, unknown, moving }

extension Session {
    fileprivate func exists(_ statement: Statement) throws(PostgresFailure) -> Bool { try !run(statement).cells.isEmpty }

    /// Whether the newest push of a branch that was told, or the newest run there, is of this commit.
    fileprivate func knowledge(project: String, branch: String, commit: String, after last: Int64) throws -> HeadKnowledge {
        let push = try run(
            """
            SELECT id, commit FROM delivery WHERE project = \(project) AND branch = \(branch) AND event = 'push'
            ORDER BY id DESC LIMIT 1
            """
        ).cells.first
        if let push {
            if push[1] == .text(commit) { return .known }
            if case .integer(let id) = push[0], id > last { return .moving }
        }
        let newest = try run(
            """
            SELECT commit FROM run WHERE project = \(project) AND branch = \(branch) AND event IN ('push', 'manual')
            ORDER BY id DESC LIMIT 1
            """
        ).texts.first
        return newest == commit ? .known : .unknown
    }

    /// Whether a push came through another door before.
    ///
    /// - Parameter before: the commit the branch had before, as the delivery tells it.
    func isTold(_ new: NewRun, before: String?) throws -> Bool {
        guard new.event == "push", let branch = new.branch else { return false }
        let door = NewRun.door(of: new.trigger)
        let runs: [ToldRun] = try run(
            """
            SELECT id, trigger, commit FROM run
            WHERE project = \(new.project) AND pipeline = \(new.pipeline) AND branch = \(branch) AND event = 'push'
              AND (commit = \(new.commit) OR id = (SELECT max(id) FROM run
                  WHERE project = \(new.project) AND pipeline = \(new.pipeline) AND branch = \(branch) AND event = 'push'))
            ORDER BY id DESC
            """
        ).records()
        guard let newest = runs.first else { return false }
        if newest.commit == new.commit { return NewRun.door(of: newest.trigger) != door }
        // The branch went on meanwhile. What was found without being told may be told yet; unless the branch came back to it
        // from what it went on to.
        let found = runs.first { $0.commit == new.commit && NewRun.door(of: $0.trigger) == NewRun.foundDoor }
        guard door != NewRun.foundDoor, let found else { return false }
        return try !exists(
            "SELECT 1 FROM run WHERE project = \(new.project) AND branch = \(branch) AND commit = \(before) AND id > \(found.id) LIMIT 1")
    }
}
