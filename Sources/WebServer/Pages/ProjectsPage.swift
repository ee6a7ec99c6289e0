/// `/`: every project, what ran last, and what is where.
public struct ProjectsPage: Page {
    public static let template = "projects"
    public var shell: Shell
    public var projects: [ProjectCard]

    public init(shell: Shell, projects: [ProjectCard]) {
        self.shell = shell
        self.projects = projects
    }
}

/// A project in the list.
public struct ProjectCard: Sendable {
    public var name: String
    public let url: String
    /// Without credentials.
    public var repository: String
    public var lastRun: RunRow?
    public var stages: [StageChip]

    public init(name: String, repository: String, lastRun: RunRow?, stages: [StageChip]) {
        self.name = name
        url = PageURL.project(name)
        self.repository = repository
        self.lastRun = lastRun
        self.stages = stages
    }
}

/// A stage in one line: its name, its state, the commit that is there.
public struct StageChip: Sendable {
    public var stage: String
    public var badge: StateBadge
    public var commit: String?

    /// - Parameter commit: shortened to seven digits here.
    public init(stage: String, badge: StateBadge, commit: String?) {
        self.stage = stage
        self.badge = badge
        self.commit = commit.map { String($0.prefix(7)) }
    }
}
