/// `/projects/<name>`: what is where.
public struct ProjectPage: Page {
    public static let template = "project"
    public var shell: Shell
    public var name: String
    public let runsURL: String
    public let ledgerURL: String
    public var repository: String
    /// Where the forge has to send its webhooks.
    public var hookURL: String?
    public var pipelines: [PipelineRow]
    public var runs: [RunRow]
    public var warnings: [ProjectWarning]
    public var jobs: [JobRow] = [] { didSet { hasJobs = !jobs.isEmpty } }
    private(set) var hasJobs = false

    public init(
        shell: Shell, name: String, repository: String, hookURL: String?, pipelines: [PipelineRow], runs: [RunRow],
        warnings: [ProjectWarning] = []
    ) {
        self.shell = shell
        self.name = name
        runsURL = PageURL.runs(of: name)
        ledgerURL = PageURL.ledger(of: name)
        self.repository = repository
        self.hookURL = hookURL
        self.pipelines = pipelines
        self.runs = runs
        self.warnings = warnings
    }
}

/// Something about a project that somebody should look at.
public struct ProjectWarning: Sendable {
    public let badge: StateBadge
    public var detail: String
    public var linkLabel: String
    public let url: String?

    public init(_ what: String, detail: String, linkLabel: String = "", url: String? = nil) {
        badge = StateBadge(.warning, what)
        self.detail = detail
        self.linkLabel = linkLabel
        self.url = url
    }
}

/// A pipeline and its stages in promotion order.
public struct PipelineRow: Sendable {
    public var pipeline: String
    /// The train it goes in.
    public var train: String?
    public var stages: [StageCard]

    public init(pipeline: String, train: String? = nil, stages: [StageCard]) {
        self.pipeline = pipeline
        self.train = train
        self.stages = stages
    }
}

/// A stage: what is there, and what may be done.
public struct StageCard: Sendable {
    public var stage: String
    public var badge: StateBadge
    public var host: String?
    public let hostURL: String?
    /// nil while nothing was ever deployed here.
    public var current: ReleaseLine?
    /// "2 of 2 healthy"
    public var health: StateBadge?
    /// "4 instances: 31 requests in flight, 10 for each instance"
    public var scale: String?
    /// A deployment that waits for someone to decide.
    public var pending: PendingApproval?
    /// A deployment under way.
    public var rollout: RolloutLine?
    public var promote: PromoteForm?
    public var rollback: RollbackForm?
    /// Why something newer is not live; nil when there is nothing newer.
    public var why: String?
    /// What would change; nil when nothing can come here.
    public var planURL: String?

    /// - Parameter hostURL: linked only when it is an http or https address.
    public init(
        stage: String, badge: StateBadge, host: String? = nil, hostURL: String? = nil, current: ReleaseLine? = nil,
        health: StateBadge? = nil, pending: PendingApproval? = nil, rollout: RolloutLine? = nil,
        promote: PromoteForm? = nil, rollback: RollbackForm? = nil
    ) {
        self.stage = stage
        self.badge = badge
        self.host = host
        self.hostURL = PageURL.web(hostURL)
        self.current = current
        self.health = health
        self.pending = pending
        self.rollout = rollout
        self.promote = promote
        self.rollback = rollback
    }
}

/// A release in one or two lines.
public struct ReleaseLine: Sendable {
    public var digest: DigestText
    /// Seven digits.
    public var commit: String
    public var subject: String
    public var author: String
    /// When it came here, or when it was made.
    public var since: TimeText
    public let runURL: String

    public init(digest: String, commit: String, subject: String, author: String, since: TimeText, run: String) {
        self.digest = DigestText(digest)
        self.commit = String(commit.prefix(7))
        self.subject = subject
        self.author = author
        self.since = since
        runURL = PageURL.run(run)
    }
}

/// A deployment on its way into a stage.
public struct RolloutLine: Sendable {
    public var badge: StateBadge
    public var message: String
    public var release: ReleaseLine
    public var waves: RolloutPanel?

    public init(badge: StateBadge, message: String, release: ReleaseLine) {
        self.badge = badge
        self.message = message
        self.release = release
    }
}
