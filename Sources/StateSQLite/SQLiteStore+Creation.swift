import DeliveryModel
import FoundationEssentials
import GRDB
public import StateStore

extension SQLiteStore {
    public func createRun(_ run: NewRun, actor: String) async throws -> CreationOutcome {
        let now = clock()
        return try await write { try Self.insert(run, actor: actor, now: now, $0) }
    }

    public func reruns(of run: Int64) async throws -> [Run] {
        try await read {
            try Run.fetchAll($0, sql: "SELECT * FROM run WHERE rerunOf = ? ORDER BY id", arguments: [run])
        }
    }

    static func insert(_ run: NewRun, actor: String, now: Double, _ db: GRDB.Database) throws -> CreationOutcome {
        // Looked up first: an insertion that is refused would use up a number.
        let known = try Int64.fetchOne(
            db, sql: #"SELECT id FROM run WHERE project = ? AND pipeline = ? AND "trigger" = ?"#,
            arguments: [run.project, run.pipeline, run.trigger])
        if let known { return .exists(known) }
        let invalid = run.diagnostic != nil
        try db.execute(
            sql: """
                INSERT INTO run (project, pipeline, "trigger", event, "commit", branch, author, message, commitTime,
                    state, phase, plan, error, createdAt, finishedAt, rerunOf, concurrencyGroup, authorEmails)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'checkout', ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                run.project, run.pipeline, run.trigger, run.event, run.commit, run.branch, run.author, run.message,
                run.commitTime, invalid ? "invalid" : "queued", run.plan, run.diagnostic, now, invalid ? now : nil,
                run.rerunOf, run.concurrencyGroup, String(decoding: try JSONEncoder().encode(run.authorEmails), as: UTF8.self),
            ])
        let id = db.lastInsertedRowID
        for (ordinal, step) in run.steps.enumerated() { try insert(step, ordinal: ordinal, run: id, db) }
        let what = run.rerunOf.map { "run \($0) again" } ?? "\(run.event) for \(run.pipeline)"
        try recordEvent(
            db, at: now, project: run.project, run: id, actor: actor,
            state: (invalid ? RunState.invalid : .queued).rawValue, message: what)
        try announce(db, run: id)
        if run.supersedes, !invalid, let group = run.concurrencyGroup {
            try supersede(project: run.project, group: group, by: id, now: now, db)
        }
        return .created(id)
    }

    private static func insert(_ step: NewStep, ordinal: Int, run: Int64, _ db: GRDB.Database) throws {
        let dependsOn = String(decoding: try JSONEncoder().encode(step.dependsOn), as: UTF8.self)
        let taken = step.takenOver
        try db.execute(
            sql: """
                INSERT INTO step (run, ordinal, name, image, dependsOn, state, exitCode, message, startedAt, finishedAt,
                    attempt, takenFrom)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                run, ordinal, step.name, step.image, dependsOn, taken == nil ? "waiting" : "succeeded", taken?.exitCode,
                taken?.message, taken?.startedAt, taken?.finishedAt, taken?.attempt ?? 1,
                taken.map { $0.takenFrom ?? $0.run },
            ])
    }

    /// Ends what is queued and asks what runs to end. What a run has deployed by then goes on: a run that has a release is over.
    private static func supersede(
        project: String, group: String, by id: Int64, now: Double, _ db: GRDB.Database
    ) throws {
        let older = try Run.fetchAll(
            db,
            sql: """
                UPDATE run SET cancelRequested = 1, supersededBy = :id,
                    error = CASE WHEN state = 'queued' THEN :reason ELSE error END,
                    finishedAt = CASE WHEN state = 'queued' THEN :now ELSE finishedAt END,
                    state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
                WHERE project = :project AND concurrencyGroup = :group AND id < :id AND state IN ('queued', 'running')
                RETURNING *
                """,
            arguments: ["id": id, "reason": "superseded by run \(id)", "now": now, "project": project, "group": group])
        for run in older {
            let isOver = run.state == .cancelled
            if isOver {
                try db.execute(
                    sql: "UPDATE step SET state = 'cancelled' WHERE run = ? AND state = 'waiting'", arguments: [run.id])
                try announce(db, Announcement(run))
            }
            try recordEvent(
                db, at: now, project: project, run: run.id, actor: "slipway", state: isOver ? run.state.rawValue : nil,
                message: "superseded by run \(id)")
        }
    }
}
