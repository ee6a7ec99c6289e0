/// The image a run made.
public struct ImagePanel: Sendable {
    public struct Layer: Sendable {
        public var digest: DigestText
        public var size: String
        /// "base", "built", "unchanged"
        public var origin: String

        public init(digest: String, size: String, origin: String) {
            self.digest = DigestText(digest)
            self.size = size
            self.origin = origin
        }
    }

    /// What `docker pull` takes.
    public var reference: String
    public var digest: DigestText
    public var size: String
    /// The base with its digest; nil when built from scratch.
    public var base: String?
    public var layers: [Layer]

    public init(reference: String, digest: String, size: String, base: String?, layers: [Layer]) {
        self.reference = reference
        self.digest = DigestText(digest)
        self.size = size
        self.base = base
        self.layers = layers
    }
}

/// What is delivered: the image and the service definition, frozen.
public struct ReleasePanel: Sendable {
    public struct Fact: Sendable {
        public var label: String
        public var value: String

        public init(_ label: String, _ value: String) {
            self.label = label
            self.value = value
        }
    }

    public var releaseID: String
    /// Command, port, health check, limits, replicas.
    public var facts: [Fact]

    public init(releaseID: String, facts: [Fact]) {
        self.releaseID = releaseID
        self.facts = facts
    }
}

/// One attempt to make a stage run the release.
public struct DeploymentPanel: Sendable {
    public let anchor: String
    public var stage: String
    public var badge: StateBadge
    /// Who or what started it.
    public var by: String
    public var when: TimeText
    public var host: String?
    public let hostURL: String?
    public var pending: PendingApproval?
    public var decisions: [Decision]
    public var events: [EventLine]
    public var failure: InstanceFailure?
    public var waves: RolloutPanel?
    public var jobs: [JobRow] = [] { didSet { hasJobs = !jobs.isEmpty } }
    private(set) var hasJobs = false

    public init(
        id: String, stage: String, badge: StateBadge, by: String, when: TimeText, host: String? = nil,
        hostURL: String? = nil, pending: PendingApproval? = nil, decisions: [Decision] = [], events: [EventLine] = [],
        failure: InstanceFailure? = nil
    ) {
        anchor = "deployment-\(PageURL.segment(id))"
        self.stage = stage
        self.badge = badge
        self.by = by
        self.when = when
        self.host = host
        self.hostURL = PageURL.web(hostURL)
        self.pending = pending
        self.decisions = decisions
        self.events = events
        self.failure = failure
    }
}

/// The last words of an instance that did not become healthy.
public struct InstanceFailure: Sendable {
    public var instance: String
    public var message: String
    /// Safe markup: one `<li>` per line.
    let markup: String

    public init(instance: String, message: String, lastLines: [String]) {
        self.instance = instance
        self.message = message
        markup = lastLines.suffix(50).map { "<li><code>\(AnsiHTML.line($0, limit: 2_048))</code></li>" }.joined()
    }
}
