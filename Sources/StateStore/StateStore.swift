public import DeliveryModel
public import OCIModel

/// What the server remembers. Every method is one transaction that is durable when it returns.
///
/// Writes that advance a claimed row name its epoch and the state it is in; `false` means that someone else owns the
/// row by now and the caller must stop. Times are seconds since 1970 by the store's clock.
public protocol StateStore: Sendable {
    // Projects
    func add(_ project: Project) async throws
    func project(_ name: String) async throws -> Project?
    func projects() async throws -> [Project]
    /// Removes a project with everything known of it. Refused while a run or deployment of it is under way.
    func removeProject(_ name: String) async throws -> RemovalOutcome

    // Deliveries
    func accept(_ delivery: NewDelivery) async throws -> AcceptOutcome
    /// Claims the oldest delivery that is due, and counts the start; ``Delivery/starts`` includes this one.
    func claimDelivery(holder: String, leaseSeconds: Double) async throws -> Delivery?
    func renewDelivery(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool
    func deliveries(project: String, limit: Int) async throws -> [Delivery]
    /// The ids of deliveries that were given up after more than this many starts, newest first.
    func failedDeliveries(project: String, startedMoreThan starts: Int) async throws -> [Int64]
    /// Lets a delivery that was given up be worked on again. Returns its project; nil when there is none with this id.
    func retryDelivery(_ id: Int64) async throws -> String?
    /// Marks a delivery as dealt with and creates its runs, each at most once. Returns the new runs' ids.
    ///
    /// A push makes no run when the newest run of the pipeline for the branch is of the same commit and came through another
    /// door (the trigger is `forge:id`, the door is the forge); nor when it was found by ``reconcile(project:heads:after:)``,
    /// and the delivery's `before` is no commit the branch has had a run for since. The outcome then says so.
    func finishDelivery(_ id: Int64, outcome: String, runs: [NewRun]) async throws -> [Int64]
    /// Puts a delivery off after a failure; `final` gives it up and keeps how often it was started.
    func postponeDelivery(_ id: Int64, reason: String, delay: Double, final: Bool) async throws

    // Branches
    /// Nil when nobody has looked yet.
    func reconciliation(of project: String) async throws -> Reconciliation?
    /// Compares the commits of a repository's branches with what is known, in one transaction that no other for the project
    /// runs beside. The first time all count as seen. Later a head that moved, and is neither the commit of the branch's
    /// newest push delivery nor of its newest run (push or manual), becomes a delivery: forge `reconcile`, event `push`.
    ///
    /// - Parameter last: the id of the project's newest delivery before somebody looked; a branch with a younger one that tells of
    ///   another commit is left for the next time.
    /// - Returns: the new deliveries' ids.
    func reconcile(project: String, heads: [String: String], after last: Int64) async throws -> [Int64]
    /// Keeps why the branches could not be looked at. Returns whether the look before had gone well.
    func reconcileFailed(project: String, problem: String) async throws -> Bool

    // Runs
    /// Creates a run, at most one for its trigger. With `supersedes` asks older runs of its group to be cancelled, in the
    /// same transaction; the queued ones end at once. `finishDelivery` does the same with its runs.
    func createRun(_ run: NewRun, actor: String) async throws -> CreationOutcome
    func run(_ id: Int64) async throws -> Run?
    func runs(project: String?, limit: Int) async throws -> [Run]
    /// The newest run of each pipeline for a commit; those of pull requests do not count.
    func runs(project: String, commit: String) async throws -> [Run]
    func steps(of run: Int64) async throws -> [Step]
    /// The runs that repeat `run`, oldest first.
    func reruns(of run: Int64) async throws -> [Run]
    /// Claims the oldest run that is due: queued, or running with an expired lease. A queued run of a concurrency group is
    /// due when no older run of its project and group is queued or running, and none of them is running. ``Run/starts`` includes this one.
    func claimRun(holder: String, leaseSeconds: Double) async throws -> Run?
    func renewRun(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool
    /// Records what one event changed of a claimed run: all of it, or nothing when the run or a step is not any more as it was.
    /// A run that ends with a release gets it, and its deployments to the first stages, in the same transaction.
    func advanceRun(_ id: Int64, epoch: Int64, by change: RunChange, release: NewRelease?) async throws -> Bool
    /// Asks for a run to be cancelled; a queued one ends at once. False when it is over already.
    func requestCancel(run: Int64, actor: String) async throws -> Bool

    // What leaves: messages are written by the transactions that change a run or deployment, for every target of the
    // project that takes them.
    /// Keeps a target. A webhook is a new one every time; a forge takes the place of the project's forge. Returns its id.
    func save(_ target: NewOutboxTarget) async throws -> Int64
    func outboxTarget(_ id: Int64) async throws -> OutboxTarget?
    func outboxTargets(project: String) async throws -> [OutboxTarget]
    /// Removes a target with its messages. False when the project has none with this id.
    func removeOutboxTarget(_ id: Int64, project: String) async throws -> Bool
    /// Claims a message that is due and counts the attempt. Of a target, only the oldest waiting message can be claimed, and none
    /// while another of it is held. Waiting messages with a newer one of the same topic become `skipped` first.
    func claimMessage(holder: String, leaseSeconds: Double) async throws -> OutboxMessage?
    /// Records what came of a claimed message. What was finished a week ago is removed, dead letters are not.
    func finishMessage(_ id: Int64, epoch: Int64, outcome: MessageOutcome) async throws -> Bool
    /// Newest first.
    func messages(project: String?, states: [OutboxMessage.State], limit: Int) async throws -> [OutboxMessage]
    /// Lets a dead letter wait again, with all its attempts. False when there is none with this id.
    func retryMessage(_ id: Int64) async throws -> Bool
    /// Gives up a message that is dead, or waits and is not being sent. False when there is none with this id.
    func discardMessage(_ id: Int64) async throws -> Bool

    // Releases and deployments
    func release(_ id: Int64) async throws -> Release?
    func releases(project: String, limit: Int) async throws -> [Release]
    /// The last one of each pipeline.
    func newestReleases(project: String) async throws -> [Release]
    func release(ofRun run: Int64) async throws -> Release?
    func deployment(_ id: Int64) async throws -> Deployment?
    func deployments(project: String, limit: Int) async throws -> [Deployment]
    func deployments(ofRelease release: Int64) async throws -> [Deployment]
    /// The last deployment of each stage that succeeded: what is live.
    func liveDeployments(project: String?) async throws -> [Deployment]
    /// The deployments that have begun and are not over.
    func activeDeployments() async throws -> [Deployment]
    /// Returns its id. A ``NewDeployment/isFirst`` that is not the first is not created: the id is that of the one there was.
    func createDeployment(_ deployment: NewDeployment, of release: Int64) async throws -> Int64
    /// Claims a deployment that may go on; at most one of a stage is under way at a time.
    func claimDeployment(holder: String, leaseSeconds: Double) async throws -> Deployment?
    func renewDeployment(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool
    /// Moves a claimed deployment on; with what follows from it, in the same transaction.
    func advanceDeployment(_ id: Int64, epoch: Int64, by change: DeploymentChange) async throws -> Bool
    /// Keeps how the versions of a claimed deployment compare: a `RolloutReport` as JSON.
    func saveReport(deployment: Int64, epoch: Int64, _ report: String) async throws -> Bool
    /// Asks for a deployment to be ended; one that has not begun ends at once. False when it is over already.
    func requestCancel(deployment: Int64, actor: String, reason: String) async throws -> Bool
    /// Lets a deployment go on that waits for a person in this wave. False when it is over already.
    func resume(deployment: Int64, wave: Int, actor: String) async throws -> Bool
    /// Records a yes or no. Enough of them move the deployment to `queued`; one no ends it.
    ///
    /// Who counts is said by ``ApprovalRequest``: with `people`, and for the image and the configuration as they are now.
    func decide(deployment: Int64, _ decision: NewDecision, people: People) async throws -> DecisionOutcome
    func approvals(of deployment: Int64) async throws -> [Approval]
    /// Rejects what has waited for approval past its time. Returns the ids.
    func expireApprovals() async throws -> [Int64]
    /// What an approval of the deployment is bound to now; nil when there is no such deployment.
    func approvalSubject(of deployment: Int64) async throws -> ApprovalSubject?
    /// Gives a deployment back that was claimed and is queued, not to be claimed before `time`. The reason is told once.
    /// False when it is not claimed any more, when it belongs to a train by now, or when it is held for a freeze that somebody has
    /// set aside meanwhile.
    func hold(_ deployment: Deployment, until time: Double, reason: String, isFreeze: Bool) async throws -> Bool
    /// Notes which versions of its secrets a claimed deployment begins with.
    func noteSecrets(_ deployment: Deployment, versions: [String: String]) async throws
    /// Sets a freeze aside for a deployment that has not begun. False when it has, or when it was done before.
    func overrideFreeze(deployment: Int64, actor: String, reason: String) async throws -> Bool
    /// The tags that deliveries told of for a commit.
    func tags(project: String, commit: String) async throws -> [String]

    // Trains
    /// Makes one train of deployments that are queued and belong to none. Returns its id; nil when that is not so any more.
    func formTrain(_ name: String, of deployments: [Int64]) async throws -> Int64?
    /// Creates deployments, each of a release, and makes them one train. Returns their ids, in the same order.
    func createTrain(_ name: String, _ deployments: [(deployment: NewDeployment, release: Int64)]) async throws -> [Int64]
    func train(_ id: Int64) async throws -> Train?
    func deployments(ofTrain train: Int64) async throws -> [Deployment]
    /// Decides about a train that is open; whoever comes later is told what was decided. Nil when there is none with this id.
    func settleTrain(_ id: Int64, _ decision: Train.State, reason: String?) async throws -> Train?

    // Scale
    /// How many instances the stages have that are scaled.
    func scales() async throws -> [Scale]
    /// Keeps a scale and records the reason; false when a deployment of the stage is under way.
    func save(_ scale: Scale) async throws -> Bool

    // Jobs
    /// Creates a job, at most one for its cause. One that is to be alone, and is not, is `skipped` from the beginning.
    func createJob(_ job: NewJob) async throws -> JobCreation
    func job(_ id: Int64) async throws -> Job?
    func job(cause: String) async throws -> Job?
    /// Newest first.
    func jobs(_ filter: JobFilter, limit: Int) async throws -> [Job]
    /// The last time, by name, at which jobs of a stage were due by their schedules.
    func schedules(project: String, pipeline: String, stage: String) async throws -> [String: Double]
    /// Removes jobs that ended before, but those of deployments, and the last one of each schedule.
    func removeJobs(endedBefore time: Double) async throws
    /// Claims the oldest job that is due: queued, or begun with an expired lease.
    func claimJob(holder: String, leaseSeconds: Double) async throws -> Job?
    func renewJob(_ id: Int64, epoch: Int64, leaseSeconds: Double) async throws -> Bool
    func advanceJob(_ id: Int64, epoch: Int64, by change: JobChange) async throws -> Bool
    /// Asks for a job to be ended; a queued one ends at once. False when it is over already.
    func requestCancel(job: Int64, actor: String) async throws -> Bool

    // Ledger: written by the transactions that do what it tells of.
    /// In the order of the chain, after the entry with this number.
    func ledger(project: String?, after number: Int64, limit: Int) async throws -> [LedgerRecord]
    /// The last ones, in the order of the chain.
    func newestLedger(project: String?, limit: Int) async throws -> [LedgerRecord]
    /// Seconds since 1970 by the store's clock.
    func time() async throws -> Double

    // Leases, events, secrets
    /// Claims what the name stands for, for one server at a time. Nil while somebody has it, be it `holder`.
    func claimLease(_ name: String, holder: String, leaseSeconds: Double) async throws -> NamedLease?
    func renewLease(_ name: String, epoch: Int64, leaseSeconds: Double) async throws -> Bool
    /// Gives back everything `holder` has, so that the next start need not wait for expiry.
    ///
    /// - Parameter orderly: the holder itself stops, so what it began does not count as cut off.
    func releaseLeases(holder: String, orderly: Bool) async throws
    func record(project: String, run: Int64?, deployment: Int64?, actor: String, message: String) async throws
    func events(project: String?, run: Int64?, deployment: Int64?, limit: Int) async throws -> [RecordedEvent]
    func setSecret(_ name: String, project: String, sealed: [UInt8]) async throws
    func secrets(project: String) async throws -> [String: [UInt8]]
    func removeSecret(_ name: String, project: String) async throws -> Bool

    // The registry's access and images
    /// Throws ``StateError`` with `exists` when there is one with the name.
    func add(_ token: AccessToken) async throws
    /// By name.
    func tokens() async throws -> [AccessToken]
    func token(hash: String) async throws -> AccessToken?
    /// False when there is none.
    func removeToken(_ name: String) async throws -> Bool
    /// Images that runs and stages need: of runs and deployments under way or waiting, what is live, the two
    /// images before it at each stage, and each pipeline's newest release.
    func digestsInUse() async throws -> Set<Digest>

    /// Says which data directory the store belongs to: the first that asks. What servers share beside the store lies there.
    /// The answer is not moved to other stores.
    ///
    /// - Parameters:
    ///   - folder: the data directory's id.
    ///   - place: where it is, for people; kept when the store belongs to it.
    ///   - adopting: from now on it belongs to this one.
    func register(folder: String, place: String, adopting: Bool) async throws -> Registration

    /// Hints that something may have changed elsewhere, for one listener. They may get lost, and none may ever come: whoever
    /// waits for work asks now and then all the same.
    func changes() -> AsyncStream<Void>

    /// One cheap query: throws when the store cannot be used.
    func ping() async throws
}

public enum AcceptOutcome: Hashable, Sendable {
    case accepted(Int64)
    /// The same delivery was committed before.
    case duplicate(Int64)
}

public enum CreationOutcome: Hashable, Sendable {
    case created(Int64)
    /// There is a run of that trigger already.
    case exists(Int64)
}

public enum RemovalOutcome: Hashable, Sendable { case removed, unknown, busy }

public enum DecisionOutcome: Hashable, Sendable {
    case approved(remaining: Int)
    case rejected
    /// The deployment is not waiting (any more); it is in this phase.
    case notWaiting(RolloutPhase)
    /// It does not count.
    case refused(ApprovalRefusal)
    case unknown
}

/// What went wrong with the store, in words for a user.
public struct StateError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        case exists, notFound, newerSchema
        /// It cannot be asked now; that may pass.
        case unavailable
        /// What it holds is not what was written; nothing is written to it any more.
        case damaged
        case damagedSecret
    }

    public let code: Code
    public let message: String
    public let hint: String

    public init(_ code: Code, _ message: String, hint: String) {
        self.code = code
        self.message = message
        self.hint = hint
    }

    /// The store's own trouble, nobody else's failure: whoever needs it waits.
    public var isOutage: Bool { code == .unavailable || code == .damaged }

    public var description: String { "\(message) (\(hint))" }
}
