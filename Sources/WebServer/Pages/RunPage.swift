/// `/runs/<id>`: everything about one run.
public struct RunPage: Page {
    public static let template = "run"
    public var shell: Shell
    public var id: String
    public var badge: StateBadge
    public var subject: String
    public var project: String
    public let projectURL: String
    public var pipeline: String
    public var commit: DigestText
    public var ref: String
    public var author: String
    public var event: String
    public var when: TimeText
    public var duration: String
    /// Why it did not succeed, and what can be done.
    public var problem: Problem?
    public var diagnostics: [DiagnosticBlock]
    /// What happened besides the steps, such as a registry that had to be asked again.
    public var events: [EventLine] = []
    public var graph: StepGraph?
    public var steps: [StepPanel]
    public var image: ImagePanel?
    public var release: ReleasePanel?
    public var deployments: [DeploymentPanel]
    /// Forms that post `csrf`; nil hides the button.
    public var cancelURL: String?
    public var rerun: RerunForms?
    /// Runs this one has to do with: what it repeats, what repeats it, what took its place.
    public var related: [RelatedRun] = []

    public init(
        shell: Shell, id: String, badge: StateBadge, subject: String, project: String, pipeline: String,
        commit: String, ref: String, author: String, event: String, when: TimeText, duration: String,
        problem: Problem? = nil, diagnostics: [DiagnosticBlock] = [], graph: StepGraph? = nil,
        steps: [StepPanel] = [], image: ImagePanel? = nil, release: ReleasePanel? = nil,
        deployments: [DeploymentPanel] = [], cancelURL: String? = nil, rerun: RerunForms? = nil
    ) {
        self.shell = shell
        self.id = id
        self.badge = badge
        self.subject = subject
        self.project = project
        projectURL = PageURL.project(project)
        self.pipeline = pipeline
        var commitText = DigestText(commit)
        commitText.short = String(commit.prefix(7))
        self.commit = commitText
        self.ref = ref
        self.author = author
        self.event = event
        self.when = when
        self.duration = duration
        self.problem = problem
        self.diagnostics = diagnostics
        self.graph = graph
        self.steps = steps
        self.image = image
        self.release = release
        self.deployments = deployments
        self.cancelURL = cancelURL
        self.rerun = rerun
    }
}

/// The buttons that begin a run once more.
public struct RerunForms: Sendable {
    public let url: String
    /// Makes a second click, or a second window, the same request as the first.
    public var key: String
    /// Whether there is something to keep: then what did not succeed can be repeated alone.
    public var offersFailed: Bool

    public init(run: String, key: String, offersFailed: Bool) {
        url = PageURL.rerun(run)
        self.key = key
        self.offersFailed = offersFailed
    }
}

/// Another run, and what it is to this one.
public struct RelatedRun: Sendable {
    /// "Repeats", "Repeated by", "Superseded by", "Waits for".
    public var relation: String
    public var id: String
    public let url: String

    public init(_ relation: String, id: String) {
        self.relation = relation
        self.id = id
        url = PageURL.run(id)
    }
}

/// What went wrong and what can be done about it.
public struct Problem: Sendable {
    public var message: String
    public var hint: String?

    public init(message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }
}

/// A mistake in a pipeline file, with the line it is on.
public struct DiagnosticBlock: Sendable {
    public var file: String
    public var line: Int
    public var column: Int
    public var message: String
    public var source: String
    /// Spaces up to the column, then a caret.
    public let caret: String
    public var suggestion: String?

    /// - Parameter column: counted from one; out-of-range values are drawn at the nearest end.
    public init(file: String, line: Int, column: Int, message: String, source: String, suggestion: String? = nil) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.source = source
        let indent = source.prefix(min(max(column, 1) - 1, 512)).map { $0 == "\t" ? "\t" : " " }
        caret = indent.joined() + "^"
        self.suggestion = suggestion
    }
}
