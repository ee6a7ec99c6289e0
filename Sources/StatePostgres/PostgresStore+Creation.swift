import DeliveryModel
import FoundationEssentials
public import StateStore

extension PostgresStore {
    public func createRun(_ run: NewRun, actor: String) async throws -> CreationOutcome {
        try await write { session in
            let outcome = try Self.insert(run, actor: actor, session)
            if case .created = outcome { try session.announce() }
            return outcome
        }
    }

    public func reruns(of run: Int64) async throws -> [Run] {
        try await read { try $0.run("SELECT * FROM run WHERE rerunOf = \(run) ORDER BY id").records() }
    }

    static func insert(_ run: NewRun, actor: String, _ session: Session) throws -> CreationOutcome {
        // One at a time for a project: of two pushes at once the second must see the first.
        try session.hold(project: run.project)
        // Looked up first: an insertion that is refused would use up a number.
        let known = try session.run(
            "SELECT id FROM run WHERE project = \(run.project) AND pipeline = \(run.pipeline) AND trigger = \(run.trigger)")
        if let id = known.integers.first { return .exists(id) }
        let state: RunState = run.diagnostic == nil ? .queued : .invalid
        let emails = String(decoding: try JSONEncoder().encode(run.authorEmails), as: UTF8.self)
        let inserted = try session.run(
            """
            INSERT INTO run (project, pipeline, trigger, event, commit, branch, author, message, commitTime,
                state, phase, plan, error, createdAt, finishedAt, rerunOf, concurrencyGroup, authorEmails)
            VALUES (\(run.project), \(run.pipeline), \(run.trigger), \(run.event), \(run.commit), \(run.branch),
                \(run.author), \(run.message), \(run.commitTime), \(state), 'checkout', \(run.plan), \(run.diagnostic),
                \(Statement.now), CASE WHEN \(state == .invalid) THEN \(Statement.now) END, \(run.rerunOf),
                \(run.concurrencyGroup), \(emails))
            RETURNING id
            """)
        guard let id = inserted.integers.first else { throw PostgresFailure(message: "a run was inserted and has no id") }
        for (ordinal, step) in run.steps.enumerated() { try insert(step, ordinal: ordinal, run: id, session) }
        let what = run.rerunOf.map { "run \($0) again" } ?? "\(run.event) for \(run.pipeline)"
        try session.recordEvent(project: run.project, run: id, actor: actor, state: state.rawValue, message: what)
        try session.tell(run: id)
        if run.supersedes, state != .invalid, let group = run.concurrencyGroup {
            try supersede(project: run.project, group: group, by: id, session)
        }
        return .created(id)
    }

    private static func insert(_ step: NewStep, ordinal: Int, run: Int64, _ session: Session) throws {
        let dependsOn = String(decoding: try JSONEncoder().encode(step.dependsOn), as: UTF8.self)
        let taken = step.takenOver
        try session.run(
            """
            INSERT INTO step (run, ordinal, name, image, dependsOn, state, exitCode, message, startedAt, finishedAt,
                attempt, takenFrom)
            VALUES (\(run), \(ordinal), \(step.name), \(step.image), \(dependsOn), \(taken == nil ? "waiting" : "succeeded"),
                \(taken?.exitCode), \(taken?.message), \(taken?.startedAt), \(taken?.finishedAt), \(taken?.attempt ?? 1),
                \(taken.map { $0.takenFrom ?? $0.run }))
            """)
    }

    /// Ends what is queued and asks what runs to end. What a run has deployed by then goes on: a run that has a release is over.
    private static func supersede(project: String, group: String, by id: Int64, _ session: Session) throws {
        let older: [Run] = try session.run(
            """
            UPDATE run SET cancelRequested = TRUE, supersededBy = \(id),
                error = CASE WHEN state = 'queued' THEN \("superseded by run \(id)") ELSE error END,
                finishedAt = CASE WHEN state = 'queued' THEN \(Statement.now) ELSE finishedAt END,
                state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END
            WHERE project = \(project) AND concurrencyGroup = \(group) AND id < \(id) AND state IN ('queued', 'running')
            RETURNING *
            """
        ).records()
        for run in older {
            let isOver = run.state == .cancelled
            if isOver {
                try session.run("UPDATE step SET state = 'cancelled' WHERE run = \(run.id) AND state = 'waiting'")
                try session.tell(Announcement(run))
            }
            try session.recordEvent(
                project: project, run: run.id, actor: "slipway", state: isOver ? run.state.rawValue : nil,
                message: "superseded by run \(id)")
        }
    }
}

extension Session {
    /// Keeps other transactions that hold the project waiting until this one is over.
    func hold(project: String) throws(PostgresFailure) {
        try run("SELECT name FROM project WHERE name = \(project) FOR NO KEY UPDATE")
    }
}
