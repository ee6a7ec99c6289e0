import DeliveryModel
public import Logging
public import ServiceLifecycle
public import SystemPackage

/// Keeps live deployments as they were ordered: an instance that ended or stopped answering is started again, at most
/// every few seconds, and the route follows the addresses. Where the machine starts again what has ended, only what it has not
/// started in time is.
///
/// Work happens only inside ``run()`` or ``tick()``; whoever runs it owns its life (cancel the task, or shut its service group down, to end it).
public actor Supervisor: Service {
    /// What one look at everything led to.
    public enum Action: Hashable, Sendable {
        case started(instance: String, reason: String)
        /// Needs a restart that the minimum distance does not allow yet.
        case postponed(instance: String, reason: String)
        case stoppedSurplus(instance: String)
        case routed(key: String)
    }

    public struct Settings: Hashable, Sendable {
        /// Between two looks.
        public var interval: Duration
        /// Smallest distance between two starts of the same instance.
        public var restartDistance: Duration
        public var stopGrace: Duration
        /// How long an instance that has ended is left to a machine that starts it again.
        public var revival: Duration

        public init(
            interval: Duration = .seconds(1), restartDistance: Duration = .seconds(5), stopGrace: Duration = .seconds(10),
            revival: Duration = .seconds(15)
        ) {
            self.interval = interval
            self.restartDistance = restartDistance
            self.stopGrace = stopGrace
            self.revival = revival
        }
    }

    let targets: [String: any Target]
    let router: any Router
    let probe: any HTTPProbe
    let settings: Settings
    /// Seconds since 1970.
    let now: @Sendable () -> Double
    let logger: Logger
    private let clock: any Clock<Duration>
    let declared: @Sendable () async throws -> [RolloutOrder]
    let journal: RestartJournal
    /// By instance; lost with the process, which then only takes longer to judge.
    var looks: [String: Look] = [:]
    /// Since when instances are seen to have ended that the machine starts again.
    var ended: [String: Double] = [:]
    /// Keys of the orders that are being looked after.
    private var tended: Set<String> = []
    /// Instances that are not wanted any more, out of the route since this generation and time.
    var leaving: [String: Leaving] = [:]

    struct Leaving {
        var deployment: String
        var generation: RouterGeneration
        var since: Double
    }

    /// - Parameters:
    ///   - stateFile: remembers when instances were restarted, over restarts of the server.
    ///   - declared: the orders that shall be live: of each stage the deployment that succeeded last. While a rollout
    ///     replaces it, it may still be declared: what another deployment routes is left alone.
    public init(
        targets: [String: any Target], router: any Router, probe: any HTTPProbe, stateFile: FilePath,
        settings: Settings = Settings(), clock: any Clock<Duration> = ContinuousClock(),
        now: @escaping @Sendable () -> Double, logger: Logger,
        declared: @escaping @Sendable () async throws -> [RolloutOrder]
    ) {
        self.targets = targets
        self.router = router
        self.probe = probe
        self.settings = settings
        self.clock = clock
        self.now = now
        self.logger = logger
        self.declared = declared
        self.journal = RestartJournal(file: stateFile)
    }

    /// Looks at everything again and again until the task is cancelled or shut down.
    public func run() async throws {
        try await cancelWhenGracefulShutdown { try await self.watch() }
    }

    private func watch() async throws {
        // Another server may have looked after everything since.
        journal.forget()
        looks = [:]
        leaving = [:]
        ended = [:]
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                do {
                    // One whose instances are slow to answer does not keep the others waiting.
                    for order in try await orders() where tended.insert(order.routeKey).inserted {
                        group.addTask {
                            for action in await self.mendOrLog(order) { self.logger.info("\(action)") }
                            await self.isTended(order)
                        }
                    }
                } catch let error where !Task.isCancelled {
                    logger.error("live deployments cannot be looked after: \(error)")
                } catch {}
                do { try await clock.sleep(for: settings.interval) } catch { break }
            }
            group.cancelAll()
        }
    }

    private func isTended(_ order: RolloutOrder) { tended.remove(order.routeKey) }

    /// What is to be looked after now; the rest is forgotten.
    private func orders() async throws -> [RolloutOrder] {
        let orders = try await declared()
        let known = Set(orders.flatMap { $0.instances.map(\.id) })
        let deployments = Set(orders.map(\.deployment))
        looks = looks.filter { known.contains($0.key) }
        leaving = leaving.filter { deployments.contains($0.value.deployment) }
        ended = ended.filter { known.contains($0.key) }
        try await journal.keep(known)
        do { try await router.start() } catch { logger.error("the router is not there: \(error)") }
        return orders
    }

    /// One look. A deployment that cannot be mended is logged and does not keep the others from being looked after.
    @discardableResult
    public func tick() async throws -> [Action] {
        let orders = try await orders()
        return await withTaskGroup(of: [Action].self) { group in
            for order in orders {
                group.addTask { await self.mendOrLog(order) }
            }
            var actions: [Action] = []
            for await some in group { actions += some }
            return actions
        }
    }

    private func mendOrLog(_ order: RolloutOrder) async -> [Action] {
        do {
            return try await mend(order)
        } catch let error as DeployerError where error.code == .staleHolder {
            logger.info("\(order.routeKey) is left alone: \(error)")
            return []
        } catch {
            if !Task.isCancelled { logger.error("\(order.routeKey) cannot be looked after: \(error)") }
            return []
        }
    }
}
