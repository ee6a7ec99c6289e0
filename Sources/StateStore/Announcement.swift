import DeliveryModel
public import OCIModel

/// Something that happened and that somebody outside may want to know. The facts are frozen in the transaction that made
/// it happen, so that what is sent an hour later still tells what was true then.
public struct Announcement: Codable, Hashable, Sendable {
    public enum Event: String, Codable, Hashable, Sendable, CaseIterable {
        case runQueued = "run.queued"
        case runStarted = "run.started"
        case runSucceeded = "run.succeeded"
        /// Also a run whose pipeline file is not valid.
        case runFailed = "run.failed"
        case runCancelled = "run.cancelled"
        case deploymentAwaitingApproval = "deployment.awaiting_approval"
        case deploymentSucceeded = "deployment.succeeded"
        case deploymentFailed = "deployment.failed"
    }

    public var event: Event
    /// Seconds since 1970.
    public var at: Double
    public var project: String
    public var pipeline: String
    public var run: Int64
    public var commit: String
    /// The branch or tag of the run.
    public var branch: String?
    public var author: String
    /// The first line of the commit's message.
    public var message: String
    /// The run's or the deployment's state.
    public var state: String
    /// Why it failed.
    public var error: String?
    public var digest: Digest?
    /// Seconds from start to end, where there were both.
    public var duration: Double?
    public var deployment: Int64?
    public var stage: String?

    /// What a run's state means to others.
    public init(_ run: Run) {
        event =
            switch run.state {
            case .queued: .runQueued
            case .running: .runStarted
            case .succeeded: .runSucceeded
            case .failed, .invalid: .runFailed
            case .cancelled: .runCancelled
            }
        at = run.finishedAt ?? run.startedAt ?? run.createdAt
        project = run.project
        pipeline = run.pipeline
        self.run = run.id
        commit = run.commit
        branch = run.branch
        author = run.author
        message = run.message
        state = run.state.rawValue
        error = run.error
        digest = run.digest
        if let start = run.startedAt, let end = run.finishedAt { duration = end - start }
    }

    /// Nil for the phases nobody is told about.
    public init?(_ deployment: Deployment, of release: Release) {
        switch deployment.phase {
        case .awaitingApproval: event = .deploymentAwaitingApproval
        case .succeeded: event = .deploymentSucceeded
        case .failed, .reverted, .cancelled: event = .deploymentFailed
        default: return nil
        }
        at = deployment.finishedAt ?? deployment.startedAt ?? deployment.createdAt
        project = deployment.project
        pipeline = deployment.pipeline
        run = release.run
        commit = release.commit
        author = release.author
        message = release.message
        state = deployment.phase.rawValue
        error = event == .deploymentFailed ? deployment.message : nil
        digest = deployment.digest
        if let start = deployment.startedAt, let end = deployment.finishedAt { duration = end - start }
        self.deployment = deployment.id
        stage = deployment.stage
    }

    /// Under what a forge shows the state of this pipeline at the commit.
    public var statusContext: String { "slipway/\(pipeline)" }
}
