/// `/board`: every service in every stage, on one page.
public struct BoardPage: Page {
    public static let template = "board"
    public var shell: Shell
    /// The names of all stages, in promotion order.
    public var stages: [String]
    public var rows: [BoardRow]

    public init(shell: Shell, stages: [String], rows: [BoardRow]) {
        self.shell = shell
        self.stages = stages
        self.rows = rows
    }
}

/// A pipeline: a cell for each stage of the page.
public struct BoardRow: Sendable {
    public var project: String
    public var pipeline: String
    public let url: String
    /// The train it goes in.
    public var train: String?
    public var cells: [BoardCell]

    public init(project: String, pipeline: String, train: String?, cells: [BoardCell]) {
        self.project = project
        self.pipeline = pipeline
        url = PageURL.project(project)
        self.train = train
        self.cells = cells
    }
}

public struct BoardCell: Sendable {
    public var stage: String
    /// Nil where the pipeline has no such stage.
    public var place: Place?

    public struct Place: Sendable {
        public var badge: StateBadge
        public var current: ReleaseLine?
        /// How far the new version is, in percent of the requests.
        public var share: String?
        /// Why something newer is not live.
        public var why: String?
        public var planURL: String?

        public init(badge: StateBadge, current: ReleaseLine?, share: String? = nil, why: String? = nil, planURL: String? = nil) {
            self.badge = badge
            self.current = current
            self.share = share
            self.why = why
            self.planURL = planURL
        }
    }

    public init(stage: String, place: Place?) {
        self.stage = stage
        self.place = place
    }
}
