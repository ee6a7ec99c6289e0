public import DeliveryModel
import OCIModel

/// Carries out what a deployment's state machine (`RolloutProgress`) asks for, on targets and a router.
///
/// Holds no state. The caller commits each outcome before it asks for the next task; a task that was cut off by a crash is simply
/// performed once more, because each one looks first at what is there.
public struct Rollout: Sendable {
    let targets: [String: any Target]
    let router: any Router
    let probe: any HTTPProbe
    /// What rollouts with a query are judged by; nil: there is none.
    let metrics: (any MetricsQuery)?
    let clock: any Clock<Duration>
    /// Seconds since 1970 by the server's clock.
    let now: @Sendable () -> Double
    /// How long stopped instances have between SIGTERM and SIGKILL.
    let stopGrace: Duration

    /// - Parameter targets: by the names that pipeline files use.
    public init(
        targets: [String: any Target], router: any Router, probe: any HTTPProbe, metrics: (any MetricsQuery)? = nil,
        clock: any Clock<Duration> = ContinuousClock(), now: @escaping @Sendable () -> Double, stopGrace: Duration = .seconds(10)
    ) {
        self.targets = targets
        self.router = router
        self.probe = probe
        self.metrics = metrics
        self.clock = clock
        self.now = now
        self.stopGrace = stopGrace
    }

    /// Does what the task says.
    ///
    /// - Throws: when it could not be done but may be tried again (the router does not answer while retiring, say),
    ///   `CancellationError` when cancelled. A release that is unfit is not thrown: it is the event `unfit`.
    public func perform(_ task: RolloutTask, _ job: RolloutJob) async throws -> RolloutOutcome {
        let order = job.order
        guard order.previous != order.deployment else {
            throw DeployerError(
                .invalidValue, "the deployment \(order.deployment) names itself as its predecessor",
                hint: "make a new deployment for the same release")
        }
        // Whoever held the deployment before may still be about to write.
        if task != .prepare, !order.host.isEmpty { try await router.fence(order.routeKey, by: order.fence) }
        switch task {
        case .begin: throw DeployerError(.illegalTransition, "a rollout begins with its schedule", hint: "this is a mistake in the caller")
        case .job: throw DeployerError(.illegalTransition, "jobs are carried out by whoever keeps them", hint: "this is a mistake in the caller")
        case .prepare: return try await fallible { try await prepare(order) }
        case .start(let instances): return try await fallible { try await start(order, instances) }
        case .warm(let instances): return try await fallible { try await warm(order, instances) }
        case .route(let shape): return try await fallible { try await route(job, shape) }
        case .confirm(let shape): return try await fallible { try await confirm(job, shape) }
        case .hold(let shape, let hold, let isJudged): return try await watch(job, shape, hold, isJudged: isJudged)
        case .drain(let shape): return try await drain(job, shape)
        case .retire(let kept): return try await retire(job, kept: kept)
        case .revert: return try await revert(job)
        }
    }

    /// Until the old instances are out of the route, any failure means: back.
    private func fallible(_ body: () async throws -> RolloutOutcome) async throws -> RolloutOutcome {
        do {
            return try await body()
        } catch let error as CancellationError {
            throw error
        } catch let error as DeployerError where error.code == .staleHolder || error.code == .busy {
            // Says nothing about the release.
            throw error
        } catch {
            try Task.checkCancellation()
            return RolloutOutcome(.unfit("\(error)"), "\(error)")
        }
    }

    func target(_ order: RolloutOrder) throws(DeployerError) -> any Target { try targets.target(named: order.target) }

    func count(_ number: Int) -> String { number == 1 ? "1 instance" : "\(number) instances" }
}

/// A deployment and what it takes the place of.
public struct RolloutJob: Sendable {
    public var order: RolloutOrder
    /// The deployment that serves; its instances can be watched and stopped. Nil: there is none.
    public var previous: RolloutOrder?
    /// The same with its secrets, for when an instance of it has to be started again.
    public var wholePrevious: @Sendable () async throws -> RolloutOrder?
    /// See `RolloutProgress`.
    public var heldUntil: Double?
    public var mark: String?
    /// What the comparison has shown so far.
    public var compared: RolloutReport
    /// Takes what the comparison of both versions shows, look by look.
    public var report: @Sendable (RolloutReport) async throws -> Void

    public init(
        order: RolloutOrder, previous: RolloutOrder? = nil, heldUntil: Double? = nil, mark: String? = nil,
        compared: RolloutReport = RolloutReport(),
        wholePrevious: (@Sendable () async throws -> RolloutOrder?)? = nil,
        report: @escaping @Sendable (RolloutReport) async throws -> Void = { _ in }
    ) {
        self.order = order
        self.previous = previous
        self.heldUntil = heldUntil
        self.mark = mark
        self.compared = compared
        self.wholePrevious = wholePrevious ?? { previous }
        self.report = report
    }
}

extension RolloutJob {
    /// What the deployment takes the place of. When nothing is known of it any more but its name: as the new one is.
    var before: RolloutOrder {
        if let previous { return previous }
        var before = order
        before.deployment = order.previous ?? order.deployment
        return before
    }
}

/// What a task came to, to be committed before the next one begins.
public struct RolloutOutcome: Hashable, Sendable {
    public var event: RolloutEvent
    /// One sentence for people.
    public var message: String
    /// What the instance that failed wrote last; empty otherwise.
    public var lastLogLines: [String]

    public init(_ event: RolloutEvent, _ message: String, lastLogLines: [String] = []) {
        self.event = event
        self.message = message
        self.lastLogLines = lastLogLines
    }
}

/// Time since it was made, on any clock.
struct Stopwatch {
    let elapsed: () -> Duration

    init(_ clock: any Clock<Duration>) { self.elapsed = Self.start(clock) }

    private static func start<C: Clock>(_ clock: C) -> () -> Duration where C.Duration == Duration {
        let started = clock.now
        return { started.duration(to: clock.now) }
    }
}
