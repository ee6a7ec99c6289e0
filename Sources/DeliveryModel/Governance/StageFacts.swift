/// What is known of a stage at one moment: enough to say in one line why something is not live there.
public struct StageFacts: Codable, Hashable, Sendable {
    /// A release in short.
    public struct Version: Codable, Hashable, Sendable {
        public var release: Int64
        public var digest: String
        public var commit: String
        public var subject: String

        public init(release: Int64, digest: String, commit: String, subject: String) {
            self.release = release
            self.digest = digest
            self.commit = commit
            self.subject = subject
        }

        var text: String {
            let digest = digest.split(separator: ":").last ?? ""
            return "\(digest.prefix(12)) (\(commit.prefix(7)) \(subject.prefix(60)))"
        }
    }

    /// A deployment that is not over, or the last that ended badly.
    public struct Attempt: Codable, Hashable, Sendable {
        public var deployment: Int64
        public var phase: RolloutPhase
        public var version: Version
        public var message: String?
        public var approvals: Approvals?
        /// While it is queued; ``Freeze/until`` nil: with no end to be seen.
        public var freeze: Freeze?
        /// Another deployment of the stage that is under way.
        public var behind: Int64?
        /// What else it waits for while it is queued.
        public var waitsFor: String?

        public init(
            deployment: Int64, phase: RolloutPhase, version: Version, message: String? = nil, approvals: Approvals? = nil, freeze: Freeze? = nil,
            behind: Int64? = nil, waitsFor: String? = nil
        ) {
            self.deployment = deployment
            self.phase = phase
            self.version = version
            self.message = message
            self.approvals = approvals
            self.freeze = freeze
            self.behind = behind
            self.waitsFor = waitsFor
        }
    }

    public struct Approvals: Codable, Hashable, Sendable {
        public var missing: Int
        public var needed: Int
        /// Who may give them, besides the administrator.
        public var from: [String]
        /// Seconds since 1970.
        public var expiresAt: Double?

        public init(missing: Int, needed: Int, from: [String], expiresAt: Double? = nil) {
            self.missing = missing
            self.needed = needed
            self.from = from
            self.expiresAt = expiresAt
        }
    }

    public struct Freeze: Codable, Hashable, Sendable {
        public var until: Double?
        public init(until: Double?) { self.until = until }
    }

    /// The newest run of the pipeline.
    public struct LastRun: Codable, Hashable, Sendable {
        public var id: Int64
        public var state: RunState
        public var commit: String
        public var problem: String?
        /// Whether what it made is live, or on its way.
        public var isCurrent: Bool

        public init(id: Int64, state: RunState, commit: String, problem: String? = nil, isCurrent: Bool = false) {
            self.id = id
            self.state = state
            self.commit = commit
            self.problem = problem
            self.isCurrent = isCurrent
        }
    }

    /// A release that is live in the stage before and not here.
    public struct Candidate: Codable, Hashable, Sendable {
        public var version: Version
        /// The stage before; nil: a release comes here from its run.
        public var before: String?
        /// When its rule brings it here; seconds since 1970.
        public var comesAt: Double?
        /// What it waits for instead.
        public var waitsFor: String?

        public init(version: Version, before: String?, comesAt: Double? = nil, waitsFor: String? = nil) {
            self.version = version
            self.before = before
            self.comesAt = comesAt
            self.waitsFor = waitsFor
        }
    }

    public var stage: String
    public var live: Version?
    /// Under way, queued or waiting for approval.
    public var attempts: [Attempt]
    public var failed: Attempt?
    /// Rejected, or superseded, and nothing came after it.
    public var ended: Attempt?
    public var candidate: Candidate?
    /// The stage that must have a release first, and has none that is not here.
    public var after: String?
    public var run: LastRun?

    public init(
        stage: String, live: Version? = nil, attempts: [Attempt] = [], failed: Attempt? = nil, ended: Attempt? = nil, candidate: Candidate? = nil,
        after: String? = nil, run: LastRun? = nil
    ) {
        self.stage = stage
        self.live = live
        self.attempts = attempts
        self.failed = failed
        self.ended = ended
        self.candidate = candidate
        self.after = after
        self.run = run
    }

    /// One line: what is live, and what keeps anything newer from it. What is nearest to being live is told first.
    public var why: String {
        let now = live.map { "\($0.text) is live" } ?? "nothing is live"
        return "\(now); \(obstacle)"
    }

    /// Whether something is meant to be live here and is not.
    public var isBehind: Bool {
        !attempts.isEmpty || failed != nil || ended != nil || candidate != nil || run.map { !$0.isCurrent && Self.text($0) != nil } ?? false
    }

    /// What keeps anything newer from being live.
    public var obstacle: String {
        if let moving = attempts.first(where: { $0.phase != .queued && $0.phase != .awaitingApproval }) {
            return "deployment \(moving.deployment) of \(moving.version.text) is \(moving.phase.rawValue)" + remark(moving.message)
        }
        if let queued = attempts.first(where: { $0.phase == .queued }) { return waiting(queued) }
        if let asked = attempts.first(where: { $0.phase == .awaitingApproval }) { return asking(asked) }
        if let failed, failed.version.release >= (candidate?.version.release ?? 0) {
            return "deployment \(failed.deployment) of \(failed.version.text) failed" + remark(failed.message)
        }
        if let ended, ended.version.release >= (candidate?.version.release ?? 0) {
            return "deployment \(ended.deployment) of \(ended.version.text) was \(ended.phase.rawValue)" + remark(ended.message)
        }
        if let candidate { return coming(candidate) }
        if let run, !run.isCurrent, let text = Self.text(run) { return text }
        if live == nil, let after { return "nothing has been live in \(after) yet" }
        if live == nil { return "no release has come here yet" }
        return "there is nothing newer"
    }

    private func waiting(_ queued: Attempt) -> String {
        let what = "deployment \(queued.deployment) of \(queued.version.text)"
        if let freeze = queued.freeze {
            return "\(what) waits for the freeze to end" + (freeze.until.map { ", at \(Moment.text($0))" } ?? ", with no end to be seen")
        }
        if let behind = queued.behind { return "\(what) waits for deployment \(behind) to be over" }
        if let reason = queued.waitsFor { return "\(what) does not begin: it \(reason)" }
        return "\(what) is about to begin"
    }

    private func asking(_ asked: Attempt) -> String {
        let what = "deployment \(asked.deployment) of \(asked.version.text) waits for"
        guard let approvals = asked.approvals else { return "\(what) approval" }
        let people = approvals.from.isEmpty ? "" : " of \(approvals.from.prefix(5).joined(separator: ", "))\(approvals.from.count > 5 ? ", …" : "")"
        let many = approvals.missing == 1 ? "1 approval" : "\(approvals.missing) approvals"
        return "\(what) \(many)\(people)" + (approvals.expiresAt.map { " until \(Moment.text($0))" } ?? "")
    }

    private func coming(_ candidate: Candidate) -> String {
        let what = "\(candidate.version.text) " + (candidate.before.map { "is live in \($0)" } ?? "is built")
        if let moment = candidate.comesAt { return "\(what) and comes at \(Moment.text(moment))" }
        return "\(what) and waits for \(candidate.waitsFor ?? "somebody to promote it")"
    }

    private static func text(_ run: LastRun) -> String? {
        let what = "run \(run.id) of \(run.commit.prefix(7))"
        switch run.state {
        case .queued, .running: return "\(what) is \(run.state.rawValue)"
        case .failed: return "\(what) failed" + remark(run.problem)
        case .invalid: return "\(what) has a pipeline file that is not valid" + remark(run.problem)
        case .cancelled: return "\(what) was cancelled" + remark(run.problem)
        case .succeeded: return nil
        }
    }

    private func remark(_ text: String?) -> String { Self.remark(text) }

    /// The first line, in brackets.
    private static func remark(_ text: String?) -> String {
        guard let line = text?.split(whereSeparator: \.isNewline).first, !line.isEmpty else { return "" }
        return " (\(line.prefix(200)))"
    }
}
