import FoundationEssentials
import GRDB
public import StateStore

extension SQLiteStore {
    public func reconciliation(of project: String) async throws -> Reconciliation? {
        try await read {
            try Reconciliation.fetchOne($0, sql: "SELECT * FROM reconciliation WHERE project = ?", arguments: [project])
        }
    }

    public func reconcile(project: String, heads: [String: String], after last: Int64) async throws -> [Int64] {
        let now = clock()
        return try await write { db in
            guard try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM project WHERE name = ?)", arguments: [project]) == true
            else { return [] }
            let isFirst =
                try Double.fetchOne(db, sql: "SELECT at FROM reconciliation WHERE project = ?", arguments: [project]) == nil
            var known: [String: (commit: String, moves: Int)] = [:]
            for row in try Row.fetchAll(
                db, sql: #"SELECT branch, "commit", moves FROM branchHead WHERE project = ?"#, arguments: [project])
            {
                known[row["branch"]] = (row["commit"], row["moves"])
            }
            var accepted: [Int64] = []
            for (branch, commit) in heads.sorted(by: { $0.key < $1.key }) where known[branch]?.commit != commit {
                let moves = (known[branch]?.moves ?? 0) + 1
                if !isFirst {
                    switch try knowledge(db, project: project, branch: branch, commit: commit, after: last) {
                    case .known: break
                    // What came while we looked is younger than what we saw.
                    case .moving: continue
                    case .unknown:
                        try db.execute(
                            sql: """
                                INSERT INTO delivery (project, forge, forgeID, headers, body, event, branch, "commit", before,
                                    receivedAt, state, attempts, nextAttemptAt)
                                VALUES (?, 'reconcile', ?, '{}', ?, 'push', ?, ?, ?, ?, 'received', 0, ?)
                                ON CONFLICT (project, forge, forgeID) DO NOTHING
                                """,
                            arguments: [
                                project, "\(branch)@\(commit).\(moves)", Data(), branch, commit, known[branch]?.commit, now, now,
                            ])
                        if db.changesCount > 0 { accepted.append(db.lastInsertedRowID) }
                    }
                }
                try db.execute(
                    sql: """
                        INSERT INTO branchHead (project, branch, "commit", moves) VALUES (?, ?, ?, ?)
                        ON CONFLICT (project, branch) DO UPDATE SET "commit" = excluded."commit", moves = excluded.moves
                        """, arguments: [project, branch, commit, moves])
            }
            // A branch that comes back later is a new one: its count goes on, so that its delivery has an id of its own.
            for branch in known.keys where heads[branch] == nil && known[branch]?.commit != "" {
                try db.execute(
                    sql: #"UPDATE branchHead SET "commit" = '' WHERE project = ? AND branch = ?"#, arguments: [project, branch])
            }
            try db.execute(
                sql: """
                    INSERT INTO reconciliation (project, at, problem) VALUES (?, ?, NULL)
                    ON CONFLICT (project) DO UPDATE SET at = excluded.at, problem = NULL
                    """, arguments: [project, now])
            return accepted
        }
    }

    public func reconcileFailed(project: String, problem: String) async throws -> Bool {
        try await write { db in
            let before = try Reconciliation.fetchOne(
                db, sql: "SELECT * FROM reconciliation WHERE project = ?", arguments: [project])
            guard try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM project WHERE name = ?)", arguments: [project]) == true
            else { return false }
            try db.execute(
                sql: """
                    INSERT INTO reconciliation (project, problem) VALUES (?, ?)
                    ON CONFLICT (project) DO UPDATE SET problem = excluded.problem
                    """, arguments: [project, problem])
            return before?.problem == nil
        }
    }
}

private enum HeadKnowledge { case known, unknown, moving }

/// Whether the newest push of a branch that was told, or the newest run there, is of this commit.
private func knowledge(
    _ db: GRDB.Database, project: String, branch: String, commit: String, after last: Int64
) throws -> HeadKnowledge {
    let push = try Row.fetchOne(
        db,
        sql: #"SELECT id, "commit" FROM delivery WHERE project = ? AND branch = ? AND event = 'push' ORDER BY id DESC LIMIT 1"#,
        arguments: [project, branch])
    if let push, push["commit"] as String? == commit { return .known }
    if let push, push["id"] as Int64 > last { return .moving }
    let run = try String.fetchOne(
        db,
        sql: """
            SELECT "commit" FROM run WHERE project = ? AND branch = ? AND event IN ('push', 'manual') ORDER BY id DESC LIMIT 1
            """, arguments: [project, branch])
    return run == commit ? .known : .unknown
}

/// Whether a push came through another door before.
///
/// - Parameter before: the commit the branch had before, as the delivery tells it.
func isTold(_ run: NewRun, before: String?, _ db: GRDB.Database) throws -> Bool {
    guard run.event == "push", let branch = run.branch else { return false }
    let door = NewRun.door(of: run.trigger)
    let runs = try Row.fetchAll(
        db,
        sql: """
            SELECT id, "trigger", "commit" FROM run WHERE project = ? AND pipeline = ? AND branch = ? AND event = 'push'
              AND ("commit" = ? OR id = (SELECT max(id) FROM run WHERE project = ? AND pipeline = ? AND branch = ? AND event = 'push'))
            ORDER BY id DESC
            """,
        arguments: [run.project, run.pipeline, branch, run.commit, run.project, run.pipeline, branch])
    guard let newest = runs.first else { return false }
    if newest["commit"] as String == run.commit { return NewRun.door(of: newest["trigger"]) != door }
    // The branch went on meanwhile. What was found without being told may be told yet; unless the branch came back to it from
    // what it went on to.
    let found = runs.first { $0["commit"] as String == run.commit && NewRun.door(of: $0["trigger"]) == NewRun.foundDoor }
    guard door != NewRun.foundDoor, let found else { return false }
    let cameBack = try Bool.fetchOne(
        db,
        sql: #"SELECT EXISTS (SELECT 1 FROM run WHERE project = ? AND branch = ? AND "commit" = ? AND id > ?)"#,
        arguments: [run.project, branch, before, found["id"] as Int64])
    return cameBack != true
}
