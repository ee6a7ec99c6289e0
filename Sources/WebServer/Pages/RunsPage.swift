/// `/projects/<name>/runs`: the runs of a project, newest first.
public struct RunsPage: Page {
    public static let template = "runs"
    public var shell: Shell
    public var project: String
    public let projectURL: String
    public var runs: [RunRow]
    public var newerURL: String?
    public var olderURL: String?

    public init(shell: Shell, project: String, runs: [RunRow], newerURL: String? = nil, olderURL: String? = nil) {
        self.shell = shell
        self.project = project
        projectURL = PageURL.project(project)
        self.runs = runs
        self.newerURL = newerURL
        self.olderURL = olderURL
    }
}

/// One run in a list.
public struct RunRow: Sendable {
    public let url: String
    public var badge: StateBadge
    public var subject: String
    public var pipeline: String
    /// Seven digits.
    public var commit: String
    /// Branch, tag or pull request.
    public var ref: String
    public var author: String
    /// push, tag, manual, …
    public var event: String
    public var when: TimeText
    /// Empty until it started.
    public var duration: String

    public init(
        id: String, badge: StateBadge, subject: String, pipeline: String, commit: String, ref: String, author: String,
        event: String, when: TimeText, duration: String
    ) {
        url = PageURL.run(id)
        self.badge = badge
        self.subject = subject
        self.pipeline = pipeline
        self.commit = String(commit.prefix(7))
        self.ref = ref
        self.author = author
        self.event = event
        self.when = when
        self.duration = duration
    }
}
