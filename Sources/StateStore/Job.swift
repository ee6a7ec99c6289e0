public import DeliveryModel
public import OCIModel

/// One command in a container of a release's image, with the settings of a stage.
public struct Job: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        /// Of a deployment.
        case before, after
        /// By its schedule.
        case cron
        /// A job of the schedule that a person started.
        case manual
        /// A command that a person gave.
        case exec
    }

    public var id: Int64
    public var project: String
    public var pipeline: String
    public var stage: String
    /// In whose image and with whose settings it runs.
    public var deployment: Int64
    public var digest: Digest
    public var kind: Kind
    public var name: String
    public var command: [String]
    /// Seconds.
    public var timeout: Double
    /// Nil: those of an instance.
    public var limits: ResourceLimits?
    /// `slipway`, or the person who started it.
    public var actor: String
    /// When it was due, for those with a schedule: seconds since 1970.
    public var scheduledFor: Double?
    public var state: JobState
    /// While it is being stopped: how it will count.
    public var endsAs: JobState?
    public var exitCode: Int?
    /// Why it did not succeed.
    public var message: String?
    /// The last lines it wrote, without secrets, when it did not succeed.
    public var logTail: String?
    public var cancelledBy: String?
    public var epoch: Int64
    public var holder: String?
    public var leaseExpiresAt: Double
    public var createdAt: Double
    public var startedAt: Double?
    public var finishedAt: Double?

    /// The name by which targets know whose container it is.
    public var owner: String { Self.owner(ofID: id) }

    public static func owner(ofID id: Int64) -> String { "j\(id)" }

    /// The id of the job with this owner's name; nil when no job can have it.
    public static func id(ofOwner name: String) -> Int64? { name.hasPrefix("j") ? Int64(name.dropFirst()) : nil }
}

/// A job about to be created.
public struct NewJob: Sendable {
    /// What there is one job for at most; nil: as often as it is asked for.
    public var cause: String?
    public var deployment: Int64
    /// The epoch of the deployment's holder, for its own jobs: nothing is created for who lost it. Nil for all others.
    public var epoch: Int64?
    public var kind: Job.Kind
    public var job: ServiceJob
    public var actor: String
    public var scheduledFor: Double?
    /// Not while another one of the stage and name, by schedule or person, has not ended.
    public var isAlone: Bool
    /// What the ledger says of it; nil: it has no place there.
    public var remark: String?

    public init(
        cause: String? = nil, deployment: Int64, epoch: Int64? = nil, kind: Job.Kind, job: ServiceJob, actor: String = "slipway",
        scheduledFor: Double? = nil, isAlone: Bool = false, remark: String? = nil
    ) {
        self.cause = cause
        self.deployment = deployment
        self.epoch = epoch
        self.kind = kind
        self.job = job
        self.actor = actor
        self.scheduledFor = scheduledFor
        self.isAlone = isAlone
        self.remark = remark
    }

    /// Why a job that is to be alone is not run.
    public static func overlap(with job: Int64) -> String { "job \(job) has not ended" }

    /// The cause of a job that is due by its schedule.
    public static func cause(of name: String, in live: Deployment, at time: Double) -> String {
        "cron/\(live.project)/\(live.pipeline)/\(live.stage)/\(name)/\(Int64(time))"
    }

    /// The cause of a job of a deployment.
    public static func cause(deployment: Int64, _ moment: JobMoment, _ name: String) -> String {
        "deployment/\(deployment)/\(moment.rawValue)/\(name)"
    }
}

extension StateStore {
    /// The jobs before and after a deployment, in the order in which they were created.
    public func jobs(ofDeployment id: Int64) async throws -> [Job] {
        try await jobs(JobFilter(deployment: id, kinds: [.before, .after]), limit: 100).reversed()
    }
}

public enum JobCreation: Hashable, Sendable {
    case created(Int64)
    /// There is one for the cause.
    case exists(Int64)
    /// The deployment is not held by who asks, or there is none.
    case refused
}

/// One step of a claimed job.
public struct JobChange: Sendable {
    public var from: JobState
    public var to: JobState
    public var endsAs: JobState?
    public var exitCode: Int?
    public var message: String?
    public var logTail: String?

    public init(
        from: JobState, to: JobState, endsAs: JobState? = nil, exitCode: Int? = nil, message: String? = nil, logTail: String? = nil
    ) {
        self.from = from
        self.to = to
        self.endsAs = endsAs
        self.exitCode = exitCode
        self.message = message
        self.logTail = logTail
    }
}

/// Which jobs are asked for.
public struct JobFilter: Sendable {
    public var project: String?
    public var pipeline: String?
    public var stage: String?
    public var deployment: Int64?
    /// Nil: all.
    public var kinds: [Job.Kind]?

    public init(
        project: String? = nil, pipeline: String? = nil, stage: String? = nil, deployment: Int64? = nil, kinds: [Job.Kind]? = nil
    ) {
        self.project = project
        self.pipeline = pipeline
        self.stage = stage
        self.deployment = deployment
        self.kinds = kinds
    }
}
