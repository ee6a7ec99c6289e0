/// `/jobs/<id>`: one command that ran in a release's image.
public struct JobPage: Page {
    public static let template = "job"
    public var shell: Shell
    public var job: JobRow
    /// Command, image, exit code and so on.
    public var facts: [ReleasePanel.Fact]
    public var problem: String?
    /// Lines were left out.
    public var isCut: Bool
    let hasWritten: Bool
    /// Safe markup: one `<li>` per line.
    let markup: String
    public let cancelURL: String?

    public init(
        shell: Shell, job: JobRow, facts: [ReleasePanel.Fact], problem: String?, lines: [String], isCut: Bool, mayCancel: Bool
    ) {
        self.shell = shell
        self.job = job
        self.facts = facts
        self.problem = problem
        self.isCut = isCut
        hasWritten = !lines.isEmpty
        markup = lines.map { "<li><code>\(AnsiHTML.line($0, limit: 2_048))</code></li>" }.joined()
        cancelURL = mayCancel ? "\(job.url)/cancel" : nil
    }
}

/// A job in a list.
public struct JobRow: Sendable {
    public let url: String
    public var badge: StateBadge
    public var name: String
    /// "before deployment 7"
    public var kind: String
    public var stage: String
    public var who: String
    public var when: TimeText
    public var duration: String
    public var problem: String?

    public init(
        id: String, badge: StateBadge, name: String, kind: String, stage: String, who: String, when: TimeText, duration: String,
        problem: String?
    ) {
        url = PageURL.job(id)
        self.badge = badge
        self.name = name
        self.kind = kind
        self.stage = stage
        self.who = who
        self.when = when
        self.duration = duration
        self.problem = problem
    }
}
