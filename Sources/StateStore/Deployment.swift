public import DeliveryModel
public import OCIModel

/// One attempt to make a stage run a release.
public struct Deployment: Codable, Hashable, Sendable {
    public var id: Int64
    public var project: String
    public var pipeline: String
    public var stage: String
    public var release: Int64
    public var digest: Digest
    /// As the store has it: ends that servers before this version do not know are `failed` there.
    var storedPhase: RolloutPhase
    var ended: RolloutPhase?
    /// The deployment whose instances this one replaces, fixed when it begins.
    public var previous: Int64?
    public var message: String?
    /// The last log lines of an instance that never became healthy.
    public var logTail: String?
    /// `promotion`, `rollback`, `automatic`.
    public var kind: String
    public var requestedBy: String
    public var approvalsNeeded: Int
    public var expiresAt: Double?
    /// Who must agree; nil: as many as needed, whoever they are.
    public var rule: ApprovalRule?
    /// The digest of what is frozen besides the image; see ``Configuration``.
    public var configuration: String
    /// The secrets that its instances get.
    public var secretNames: [String]
    /// Which versions of them, by name, since it began; see ``Configuration/version(_:)``.
    public var secretVersions: [String: String]
    /// Until when it does not begin, while it is queued.
    public var heldUntil: Double?
    /// Why it does not.
    public var heldFor: String?
    /// Who set a freeze aside, and why.
    public var overriddenBy: String?
    public var overrideReason: String?
    public var epoch: Int64
    public var holder: String?
    public var leaseExpiresAt: Double
    public var createdAt: Double
    public var startedAt: Double?
    public var finishedAt: Double?
    /// A `RolloutProgress` as JSON; nil until it begins.
    public var rollout: String?
    /// A `RolloutReport` as JSON; nil when versions were not compared.
    public var report: String?
    /// Why somebody wants it to end; nil when nobody does.
    public var cancelReason: String?
    /// The wave of the rollout that somebody let go on, and who.
    public var resumedWave: Int?
    public var resumedBy: String?
    /// The id of the `Train` it belongs to.
    public var train: Int64?

    public var phase: RolloutPhase { ended ?? storedPhase }

    enum CodingKeys: String, CodingKey {
        case storedPhase = "phase"
        case id, project, pipeline, stage, release, digest, ended, previous, message, logTail, kind, requestedBy, approvalsNeeded, expiresAt
        case rule, configuration, secretNames, secretVersions, heldUntil, heldFor, overriddenBy, overrideReason
        case epoch, holder, leaseExpiresAt, createdAt, startedAt, finishedAt, rollout, report, cancelReason, resumedWave, resumedBy, train
    }

    /// The deployment's name on targets.
    public var name: String { Self.name(ofID: id) }

    public static func name(ofID id: Int64) -> String { "d\(id)" }

    /// The id of the deployment with this name; nil when no deployment can have it.
    public static func id(ofName name: String) -> Int64? { name.hasPrefix("d") ? Int64(name.dropFirst()) : nil }
}

/// One step of a claimed deployment, see `RolloutProgress`.
public struct DeploymentChange: Sendable {
    public var from: RolloutPhase
    public var to: RolloutPhase
    /// The state after it, as JSON.
    public var rollout: String
    /// One sentence for people.
    public var message: String?
    /// The last lines of an instance that failed.
    public var logTail: String?
    /// The deployments to the next stages, created with it.
    public var followers: [NewDeployment]

    public init(
        from: RolloutPhase, to: RolloutPhase, rollout: String = "{}", message: String? = nil, logTail: String? = nil,
        followers: [NewDeployment] = []
    ) {
        self.from = from
        self.to = to
        self.rollout = rollout
        self.message = message
        self.logTail = logTail
        self.followers = followers
    }

    /// What servers before this version can read of the phase it ends in, and the rest of it.
    public var stored: (phase: RolloutPhase, ended: RolloutPhase?) { Self.stored(to) }

    public static func stored(_ phase: RolloutPhase) -> (phase: RolloutPhase, ended: RolloutPhase?) {
        phase == .reverted || phase == .cancelled ? (.failed, phase) : (phase, nil)
    }
}

/// A deployment about to be created.
public struct NewDeployment: Sendable {
    public var stage: String
    public var kind: String
    public var requestedBy: String
    public var approvalsNeeded: Int
    public var expiresAfter: Double?
    public var rule: ApprovalRule?
    /// The digest of what is frozen besides the image; see ``Configuration``.
    public var configuration: String
    public var secretNames: [String]
    /// Why it goes ahead in a freeze.
    public var override: String?
    /// Not when the release has had a deployment to the stage before.
    public var isFirst: Bool

    public init(
        stage: String, kind: String, requestedBy: String, approvalsNeeded: Int, expiresAfter: Double?, rule: ApprovalRule? = nil,
        configuration: String = "", secretNames: [String] = [], override: String? = nil, isFirst: Bool = false
    ) {
        self.stage = stage
        self.kind = kind
        self.requestedBy = requestedBy
        self.approvalsNeeded = approvalsNeeded
        self.expiresAfter = expiresAfter
        self.rule = rule
        self.configuration = configuration
        self.secretNames = secretNames
        self.override = override
        self.isFirst = isFirst
    }
}
