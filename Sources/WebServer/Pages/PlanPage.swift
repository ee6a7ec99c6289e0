/// `/projects/<name>/stages/<stage>/plan`: what a promotion would change.
public struct PlanPage: Page {
    public static let template = "plan"
    public var shell: Shell
    public var stage: String
    public var live: PlanVersion?
    public var next: PlanVersion
    /// "2 approvals of bob, eve"; nil: nobody has to agree.
    public var approval: String?
    /// "Frozen until …"
    public var freeze: String?
    /// Where the freeze can be set aside for what waits; nil: there is nothing to set aside, or the reader may not.
    public var overrideURL: String?
    public var pipeline: String
    public var commits: [PlanCommit]
    /// "and more", or why there are none.
    public var commitsNote: String?
    public var changes: [PlanChange]

    public init(
        shell: Shell, stage: String, live: PlanVersion?, next: PlanVersion, approval: String?, freeze: String?, overrideURL: String?,
        pipeline: String, commits: [PlanCommit], commitsNote: String?, changes: [PlanChange]
    ) {
        self.shell = shell
        self.stage = stage
        self.live = live
        self.next = next
        self.approval = approval
        self.freeze = freeze
        self.overrideURL = overrideURL
        self.pipeline = pipeline
        self.commits = commits
        self.commitsNote = commitsNote
        self.changes = changes
    }
}

public struct PlanVersion: Sendable {
    public var digest: DigestText
    /// Seven digits.
    public var commit: String
    public var subject: String

    public init(digest: String, commit: String, subject: String) {
        self.digest = DigestText(digest)
        self.commit = String(commit.prefix(7))
        self.subject = subject
    }
}

public struct PlanCommit: Sendable {
    /// Seven digits.
    public var id: String
    public var author: String
    public var subject: String

    public init(id: String, author: String, subject: String) {
        self.id = String(id.prefix(7))
        self.author = author
        self.subject = subject
    }
}

/// A setting or variable that would be otherwise.
public struct PlanChange: Sendable {
    public var badge: StateBadge
    public var name: String
    public var from: String?
    public var to: String?

    public init(badge: StateBadge, name: String, from: String?, to: String?) {
        self.badge = badge
        self.name = name
        self.from = from
        self.to = to
    }
}
