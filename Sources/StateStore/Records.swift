public import DeliveryModel
public import FoundationEssentials
public import OCIModel

/// One registered git repository.
public struct Project: Codable, Hashable, Sendable {
    public var name: String
    /// Where the repository is fetched from; may hold no password.
    public var url: String
    /// The webhook secret, sealed by ``SecretBox``.
    public var sealedSecret: Data
    /// Seconds since 1970.
    public var createdAt: Double

    public init(name: String, url: String, sealedSecret: Data, createdAt: Double) {
        self.name = name
        self.url = url
        self.sealedSecret = sealedSecret
        self.createdAt = createdAt
    }
}

/// One webhook call as received.
public struct Delivery: Codable, Hashable, Sendable {
    public enum State: String, Codable, Sendable { case received, processed, failed }

    public var id: Int64
    public var project: String
    public var forge: String
    /// The forge's own id of the delivery; unique within a project and forge.
    public var forgeID: String
    public var headers: [String: String]
    public var body: Data
    public var event: String
    public var branch: String?
    public var tag: String?
    public var commit: String?
    /// The commit before a push, where the forge tells it.
    public var before: String?
    public var receivedAt: Double
    public var state: State
    public var attempts: Int
    public var nextAttemptAt: Double
    /// What came of it, in words: the runs it started, or why none.
    public var outcome: String?
    /// How often work on it was begun without coming to an orderly end.
    public var starts: Int
    public var epoch: Int64
    public var holder: String?
    public var leaseExpiresAt: Double
}

/// A webhook call about to be committed.
public struct NewDelivery: Sendable {
    public var project: String
    public var forge: String
    public var forgeID: String
    public var headers: [String: String]
    public var body: [UInt8]
    public var event: String
    public var branch: String?
    public var tag: String?
    public var commit: String?
    public var before: String?

    public init(
        project: String, forge: String, forgeID: String, headers: [String: String], body: [UInt8], event: String,
        branch: String? = nil, tag: String? = nil, commit: String? = nil, before: String? = nil
    ) {
        self.project = project
        self.forge = forge
        self.forgeID = forgeID
        self.headers = headers
        self.body = body
        self.event = event
        self.branch = branch
        self.tag = tag
        self.commit = commit
        self.before = before
    }
}

/// One execution of one pipeline for one commit.
public struct Run: Codable, Hashable, Sendable {
    public var id: Int64
    public var project: String
    public var pipeline: String
    /// What caused it; unique with project and pipeline, so that a redelivery makes no second run.
    public var trigger: String
    public var event: String
    public var commit: String
    public var branch: String?
    public var author: String
    /// The addresses of the commit's author and co-authors.
    public var authorEmails: [String]
    public var message: String
    public var commitTime: Int64
    public var state: RunState
    public var phase: RunPhase
    /// The validated plan as JSON; nil for an invalid pipeline file.
    public var plan: String?
    /// Why it failed or is invalid, in words.
    public var error: String?
    public var digest: Digest?
    public var cancelRequested: Bool
    /// The run that this one repeats.
    public var rerunOf: Int64?
    /// Runs of the same project and group do not overlap.
    public var concurrencyGroup: String?
    /// The newer run of the group that took this one's place.
    public var supersededBy: Int64?
    public var epoch: Int64
    public var holder: String?
    public var leaseExpiresAt: Double
    /// How often it was claimed without an orderly end of the work.
    public var starts: Int
    public var createdAt: Double
    public var startedAt: Double?
    public var finishedAt: Double?
}

/// A run about to be created.
public struct NewRun: Sendable {
    public var project: String
    public var pipeline: String
    public var trigger: String
    public var event: String
    public var commit: String
    public var branch: String?
    public var author: String
    /// The addresses of the commit's author and co-authors.
    public var authorEmails: [String]
    public var message: String
    public var commitTime: Int64
    public var plan: String?
    /// Given for an invalid pipeline file: the rendered diagnostics.
    public var diagnostic: String?
    /// The plan's steps in the order of the file.
    public var steps: [NewStep]
    /// The run that this one repeats.
    public var rerunOf: Int64?
    /// Runs of the same project and group do not overlap.
    public var concurrencyGroup: String?
    /// Older runs of the group that are not over are cancelled when this one is created.
    public var supersedes: Bool

    public init(
        project: String, pipeline: String, trigger: String, event: String, commit: String, branch: String?,
        author: String, message: String, commitTime: Int64, plan: String?, diagnostic: String?, steps: [NewStep],
        rerunOf: Int64? = nil, concurrencyGroup: String? = nil, supersedes: Bool = false, authorEmails: [String] = []
    ) {
        self.project = project
        self.pipeline = pipeline
        self.trigger = trigger
        self.event = event
        self.commit = commit
        self.branch = branch
        self.author = author
        self.authorEmails = authorEmails
        self.message = message
        self.commitTime = commitTime
        self.plan = plan
        self.diagnostic = diagnostic
        self.steps = steps
        self.rerunOf = rerunOf
        self.concurrencyGroup = concurrencyGroup
        self.supersedes = supersedes
    }
}

extension NewRun {
    /// The door of pushes that nobody told of.
    public static let foundDoor: Substring = "reconcile"

    /// Through which door a trigger came: the forge's name in `forge:id`.
    public static func door(of trigger: String) -> Substring { trigger.prefix { $0 != ":" } }
}

public struct NewStep: Sendable {
    public var name: String
    public var image: String
    public var dependsOn: [String]
    /// The step of an earlier run whose outcome counts for this one too: it succeeded, and does not run again.
    public var takenOver: Step?

    public init(name: String, image: String, dependsOn: [String], takenOver: Step? = nil) {
        self.name = name
        self.image = image
        self.dependsOn = dependsOn
        self.takenOver = takenOver
    }
}

/// One step of a run.
public struct Step: Codable, Hashable, Sendable {
    public var run: Int64
    public var ordinal: Int
    public var name: String
    public var image: String
    public var dependsOn: [String]
    public var state: StepState
    public var exitCode: Int?
    public var message: String?
    /// Counts from 1.
    public var attempt: Int
    /// The run in which it ran, when that was an earlier one.
    public var takenFrom: Int64?
    /// When its present attempt began.
    public var startedAt: Double?
    public var finishedAt: Double?

    public init(
        run: Int64, ordinal: Int, name: String, image: String, dependsOn: [String], state: StepState, exitCode: Int? = nil,
        message: String? = nil, attempt: Int = 1, takenFrom: Int64? = nil, startedAt: Double? = nil, finishedAt: Double? = nil
    ) {
        self.run = run
        self.ordinal = ordinal
        self.name = name
        self.image = image
        self.dependsOn = dependsOn
        self.state = state
        self.exitCode = exitCode
        self.message = message
        self.attempt = attempt
        self.takenFrom = takenFrom
        self.startedAt = startedAt
        self.finishedAt = finishedAt
    }
}

/// What a run produced to be delivered: frozen, never rebuilt.
public struct Release: Codable, Hashable, Sendable {
    public var id: Int64
    public var project: String
    public var pipeline: String
    public var run: Int64
    public var commit: String
    public var author: String
    public var authorEmails: [String]
    public var message: String
    public var image: String
    public var digest: Digest
    public var service: ServiceDefinition
    /// The plan's stages as JSON, as they were at the commit.
    public var stages: String
    public var createdAt: Double

    public var authors: CommitAuthors { CommitAuthors(name: author, emails: authorEmails) }
}

/// A release about to be created.
public struct NewRelease: Sendable {
    public var image: String
    public var digest: Digest
    public var service: ServiceDefinition
    public var stages: String
    /// Those to its first stages.
    public var deployments: [NewDeployment]

    public init(image: String, digest: Digest, service: ServiceDefinition, stages: String, deployments: [NewDeployment]) {
        self.image = image
        self.digest = digest
        self.service = service
        self.stages = stages
        self.deployments = deployments
    }
}

/// Somebody's yes or no to one deployment, bound to the digest it was given for.
public struct Approval: Codable, Hashable, Sendable {
    public var deployment: Int64
    public var actor: String
    public var approved: Bool
    public var digest: Digest
    /// The configuration it was given for, secrets and all.
    public var configuration: String
    public var comment: String?
    public var at: Double
}

/// A yes or no about to be recorded.
public struct NewDecision: Sendable {
    public var actor: String
    public var approved: Bool
    public var comment: String?
    /// What the person has looked at; nil: whatever it is now.
    public var digest: Digest?
    public var configuration: String?

    public init(actor: String, approved: Bool, comment: String? = nil, digest: Digest? = nil, configuration: String? = nil) {
        self.actor = actor
        self.approved = approved
        self.comment = comment
        self.digest = digest
        self.configuration = configuration
    }
}

/// One line of what happened.
public struct RecordedEvent: Codable, Hashable, Sendable {
    public var id: Int64
    public var at: Double
    public var project: String
    public var run: Int64?
    public var deployment: Int64?
    public var actor: String
    /// The state that was entered: a run's, a deployment's, or `approved` and `rejected`; nil for a remark.
    public var state: String?
    public var message: String
}
