import DeliveryModel
import FoundationEssentials
import OCIModel
import PipelineEngine
import PipelineFile
import StateStore

/// A new project and what its forge needs to know. The secret is shown once.
public struct NewProjectValue: Codable, Sendable {
    public var name: String
    /// The webhook's address.
    public var hook: String
    public var secret: String
    /// A git hook ready to paste.
    public var postReceive: String
}

public struct ProjectRequest: Codable, Sendable {
    public var name: String
    public var url: String

    public init(name: String, url: String) {
        self.name = name
        self.url = url
    }
}

public struct ProjectValue: Codable, Sendable {
    public var name: String
    public var url: String
    public var createdAt: Double
}

public struct RunValue: Codable, Sendable {
    public var id: Int64
    public var project: String
    public var pipeline: String
    public var state: String
    public var phase: String
    public var event: String
    public var commit: String
    public var branch: String?
    public var author: String
    public var message: String
    public var digest: String?
    public var error: String?
    /// The run that this one repeats.
    public var rerunOf: Int64?
    /// The newer run of its concurrency group that took its place.
    public var supersededBy: Int64?
    public var concurrencyGroup: String?
    /// The run of its concurrency group that must be over first. Only where one run is asked for.
    public var waitsFor: Int64?
    public var createdAt: Double
    public var startedAt: Double?
    public var finishedAt: Double?
    /// Only where one run is asked for.
    public var steps: [StepValue]?
    public var deployments: [DeploymentValue]?
    public var events: [EventValue]?

    init(_ run: Run) {
        id = run.id
        project = run.project
        pipeline = run.pipeline
        state = run.state.rawValue
        phase = run.phase.rawValue
        event = run.event
        commit = run.commit
        branch = run.branch
        author = run.author
        message = run.message
        digest = run.digest?.description
        error = run.error
        rerunOf = run.rerunOf
        supersededBy = run.supersededBy
        concurrencyGroup = run.concurrencyGroup
        createdAt = run.createdAt
        startedAt = run.startedAt
        finishedAt = run.finishedAt
    }
}

/// One thing that happened.
public struct EventValue: Codable, Sendable {
    public var at: Double
    public var actor: String
    /// The state that was entered; none for a remark.
    public var state: String?
    public var message: String
    public var deployment: Int64?

    init(_ event: RecordedEvent) {
        at = event.at
        actor = event.actor
        state = event.state
        message = event.message
        deployment = event.deployment
    }
}

public struct StepValue: Codable, Sendable {
    public var name: String
    public var image: String
    public var dependsOn: [String]
    public var state: String
    public var exitCode: Int?
    public var message: String?
    /// Counts from 1.
    public var attempt: Int
    /// The earlier run in which it ran.
    public var takenFrom: Int64?
    public var startedAt: Double?
    public var finishedAt: Double?

    init(_ step: Step) {
        name = step.name
        image = step.image
        dependsOn = step.dependsOn
        state = step.state.rawValue
        exitCode = step.exitCode
        message = step.message
        attempt = step.attempt
        takenFrom = step.takenFrom
        startedAt = step.startedAt
        finishedAt = step.finishedAt
    }
}

public struct DeploymentValue: Codable, Sendable {
    public var id: Int64
    public var pipeline: String
    public var stage: String
    public var state: String
    public var digest: String
    public var kind: String
    public var requestedBy: String
    public var message: String?
    public var logTail: String?
    public var createdAt: Double
    public var finishedAt: Double?
    /// The number of the train it goes in.
    public var train: Int64?
    /// Nil until it begins.
    public var rollout: RolloutValue?
    /// Oldest first; only where one deployment is asked for.
    public var events: [EventValue]?

    init(_ deployment: Deployment) throws {
        id = deployment.id
        pipeline = deployment.pipeline
        train = deployment.train
        stage = deployment.stage
        state = deployment.phase.rawValue
        digest = deployment.digest.description
        kind = deployment.kind
        requestedBy = deployment.requestedBy
        message = deployment.message
        logTail = deployment.logTail
        createdAt = deployment.createdAt
        finishedAt = deployment.finishedAt
        rollout = try RolloutValue(deployment)
    }
}

public struct StatusValue: Codable, Sendable {
    public var project: String
    public var stages: [StageValue]
}

public struct StageValue: Codable, Sendable {
    public struct Waiting: Codable, Sendable {
        public var deployment: Int64
        public var digest: String
        public var commit: String?
        public var approvalsNeeded: Int
    }

    public var pipeline: String
    public var stage: String
    /// The train that its deployments go in.
    public var train: String?
    /// `empty`, `live`, `awaitingApproval`, a rollout phase, or `failed`.
    public var state: String
    /// What is live.
    public var digest: String?
    public var commit: String?
    public var message: String?
    public var deployment: Int64?
    public var since: Double?
    /// Both are empty when no request reaches the stage.
    public var host: String
    public var url: String
    public var waiting: Waiting?
    /// Why the last deployment failed.
    public var problem: String?
    /// How many instances it has, and why, where that follows what they have to do; nil until it was changed.
    public var scale: Scale?

    public struct Scale: Codable, Sendable {
        public var replicas: Int
        public var reason: String
        /// Seconds since 1970.
        public var at: Double
    }
}

extension StageValue {
    init(_ stage: StageOverview, project: String, routerPort: Int) {
        pipeline = stage.pipeline
        self.stage = stage.plan.name
        train = stage.plan.train
        state = stage.state
        digest = stage.live?.digest.description
        commit = stage.liveRelease?.commit
        message = stage.liveRelease?.message
        deployment = stage.live?.id
        since = stage.live?.finishedAt
        host = stage.plan.hostName(project: project)
        url = host.isEmpty ? "" : PageURL.service(stage.plan.place(project: project), port: routerPort)
        waiting = stage.waiting.map {
            Waiting(
                deployment: $0.id, digest: $0.digest.description, commit: stage.waitingRelease?.commit,
                approvalsNeeded: $0.approvalsNeeded)
        }
        problem = stage.failed?.message
        scale = stage.scale.map { Scale(replicas: $0.replicas, reason: $0.reason, at: $0.at) }
    }
}

public struct LogValue: Codable, Sendable {
    public struct Line: Codable, Sendable {
        public var time: String
        public var stream: String
        public var text: String
    }

    public var lines: [Line]
    /// Pass it back as `after` to go on.
    public var next: Int64
    /// Nothing more will come.
    public var complete: Bool
    /// Why there are no lines, in words, when the log was removed.
    public var removed: String?
}

public struct SecretRequest: Codable, Sendable {
    public var value: String
    public init(value: String) { self.value = value }
}

public struct TriggerRequest: Codable, Sendable {
    public var branch: String
    public init(branch: String) { self.branch = branch }
}

public struct DecisionValue: Codable, Sendable {
    public var deployment: Int64
    public var outcome: String
    /// Approvals still missing.
    public var remaining: Int
}
