/// `/ledger`: what was done, and by whom.
public struct LedgerPage: Page {
    public static let template = "ledger"
    public var shell: Shell
    /// The hash of the last entry.
    public var head: DigestText?
    /// Newest first.
    public var entries: [LedgerRow]

    public init(shell: Shell, head: String?, entries: [LedgerRow]) {
        self.shell = shell
        self.head = head.map { DigestText($0) }
        self.entries = entries
    }
}

/// An entry in the list.
public struct LedgerRow: Sendable {
    public var number: String
    public var badge: StateBadge
    public var who: String
    public var project: String
    public let projectURL: String
    /// Nil for what is no deployment.
    public var stage: String?
    public var digest: DigestText
    /// Seven digits.
    public var commit: String
    public var remark: String?
    public var at: TimeText

    public init(
        number: Int64, badge: StateBadge, who: String, project: String, stage: String?, digest: String, commit: String, remark: String?, at: TimeText
    ) {
        self.number = "\(number)"
        self.badge = badge
        self.who = who
        self.project = project
        projectURL = PageURL.project(project)
        self.stage = stage
        self.digest = DigestText(digest)
        self.commit = String(commit.prefix(7))
        self.remark = remark
        self.at = at
    }
}
