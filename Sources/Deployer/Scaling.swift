public import DeliveryModel
public import Logging
public import ServiceLifecycle

/// Looks at what live services have to do, and decides how many instances each has. It starts and stops nothing: what it decides is
/// declared, and the ``Supervisor`` brings it about.
///
/// Requests in flight are those that came in a second times the seconds each took (Little, A Proof for the Queuing Formula L = λW,
/// 1961), by the router's log: an answer that streams counts until it begins.
public actor Scaling: Service {
    private let targets: [String: any Target]
    private let router: any Router
    private let interval: Duration
    private let clock: any Clock<Duration>
    private let now: @Sendable () -> Double
    private let logger: Logger
    private let declared: @Sendable () async throws -> [RolloutOrder]
    private let save: @Sendable (Scale) async throws -> Bool
    /// By ``RolloutOrder/routeKey``; lost with the process, which then only takes longer to decide.
    private var services: [String: Memory] = [:]

    private struct Memory {
        var deployment: String
        var scaler = Autoscaler()
        var last: Seen?
    }

    /// What was there at a look.
    private struct Seen {
        var at: Double
        var mark: TrafficMark
        var used: [String: Double]
    }

    /// - Parameters:
    ///   - declared: the orders that shall be live, as for the ``Supervisor``.
    ///   - save: keeps a decision; false when it cannot be used because a deployment is under way.
    public init(
        targets: [String: any Target], router: any Router, interval: Duration = .seconds(5), clock: any Clock<Duration> = ContinuousClock(),
        now: @escaping @Sendable () -> Double, logger: Logger, declared: @escaping @Sendable () async throws -> [RolloutOrder],
        save: @escaping @Sendable (Scale) async throws -> Bool
    ) {
        self.targets = targets
        self.router = router
        self.interval = interval
        self.clock = clock
        self.now = now
        self.logger = logger
        self.declared = declared
        self.save = save
    }

    public func run() async throws {
        try await cancelWhenGracefulShutdown { try await self.watch() }
    }

    private func watch() async throws {
        // Another server may have decided since.
        services = [:]
        while !Task.isCancelled {
            do {
                for scale in try await tick() { logger.info("\(scale.project)/\(scale.pipeline)/\(scale.stage): \(scale.sentence)") }
            } catch let error where !Task.isCancelled {
                logger.error("how many instances are needed cannot be worked out: \(error)")
            } catch {}
            do { try await clock.sleep(for: interval) } catch { return }
        }
    }

    /// One look at every service that is scaled. Returns what was decided.
    @discardableResult
    public func tick() async throws -> [Scale] {
        let orders = try await declared().filter { $0.autoscale != nil }
        let known = Set(orders.map(\.routeKey))
        services = services.filter { known.contains($0.key) }
        var decided: [Scale] = []
        for order in orders {
            guard let rule = order.autoscale else { continue }
            do {
                if let scale = try await look(at: order, rule) { decided.append(scale) }
            } catch let error as DeployerError {
                logger.warning("\(order.routeKey): what it has to do is not known: \(error)")
            }
        }
        return decided
    }

    private func look(at order: RolloutOrder, _ rule: AutoscaleRule) async throws -> Scale? {
        var memory = services[order.routeKey] ?? Memory(deployment: order.deployment)
        if memory.deployment != order.deployment { memory = Memory(deployment: order.deployment) }
        let seen = Seen(
            at: now(), mark: try await router.trafficMark(),
            used: rule.cpu == nil ? [:] : try await targets.target(named: order.target).processorSeconds(deployment: order.deployment))
        var load = ServiceLoad()
        if let last = memory.last, seen.at > last.at {
            load = try await self.load(of: order, from: last, to: seen)
        }
        memory.last = seen
        let decision = memory.scaler.look(load, replicas: order.service.replicas, rule, at: seen.at)
        services[order.routeKey] = memory
        guard let decision, decision.replicas != order.service.replicas else { return nil }
        let scale = Scale(
            project: order.project, pipeline: order.pipeline, stage: order.stage, replicas: decision.replicas, reason: decision.reason, at: seen.at)
        return try await save(scale) ? scale : nil
    }

    private func load(of order: RolloutOrder, from last: Seen, to seen: Seen) async throws -> ServiceLoad {
        let span = seen.at - last.at
        var load = ServiceLoad()
        if !order.host.isEmpty {
            let traffic = try await router.traffic(key: order.routeKey, since: last.mark).first { $0.deployment == order.deployment }
            load.requests = (traffic?.latency.seconds ?? 0) / span
        }
        // An instance that began in between is judged the next time.
        let used = seen.used.compactMap { id, now in last.used[id].map { max(0, now - $0) } }
        if !used.isEmpty { load.cpu = used.reduce(0, +) / span / (Double(used.count) * (order.service.limits.cpus ?? 1)) }
        return load
    }
}
