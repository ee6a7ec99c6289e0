import DeliveryModel
import OCIModel

extension Rollout {
    func prepare(_ order: RolloutOrder) async throws -> RolloutOutcome {
        if order.strategy.query != nil, metrics == nil {
            throw DeployerError(
                .invalidValue, "abort_if of '\(order.stage)' has a query, and the server knows no Prometheus",
                hint: "set 'prometheus' in the server's settings, or remove the query")
        }
        try await target(order).prepare(order)
        return RolloutOutcome(.prepared, "\(order.image.short) is there")
    }

    func start(_ order: RolloutOrder, _ instances: Int) async throws -> RolloutOutcome {
        let target = try target(order)
        for replica in 0..<instances { try await target.start(InstanceSpec(order: order, replica: replica), by: order.claim) }
        return RolloutOutcome(.started, "\(count(instances)) started, waiting for \(order.service.health.probe)")
    }

    func route(_ job: RolloutJob, _ shape: RolloutShape) async throws -> RolloutOutcome {
        let order = job.order
        guard !order.host.isEmpty else { return RolloutOutcome(.routed(mark: nil), "no host name, nothing to switch") }
        let observed = try await target(order).observe(deployment: order.deployment)
        if let unfit = try await firstUnfit(order, observed, shape.started) { return unfit }
        let generation = try await router.apply(try await wantedRoute(job, shape, observed), by: order.fence)
        if shape.share == 1000 { return RolloutOutcome(.routed(mark: nil), "\(order.host) handed over with \(generation)") }
        try await router.confirm(generation)
        // From here on requests have these shares.
        let mark = String(decoding: try OCIJSON.encode(try await router.trafficMark()), as: UTF8.self)
        return RolloutOutcome(.routed(mark: mark), share(shape, order))
    }

    func confirm(_ job: RolloutJob, _ shape: RolloutShape) async throws -> RolloutOutcome {
        let order = job.order
        guard !order.host.isEmpty else { return RolloutOutcome(.confirmed, "nothing to confirm") }
        let observed = try await target(order).observe(deployment: order.deployment)
        if let unfit = try await firstUnfit(order, observed, shape.started) { return unfit }
        // The same route again: changes nothing, and tells the generation when a crash made us forget it.
        let generation = try await router.apply(try await wantedRoute(job, shape, observed), by: order.fence)
        try await router.confirm(generation)
        return RolloutOutcome(.confirmed, "\(order.host) is answered by \(count(shape.started)) of \(order.image.short) only")
    }

    /// A new instance that ends meanwhile makes the release unfit: the old ones are still there.
    func drain(_ job: RolloutJob, _ shape: RolloutShape) async throws -> RolloutOutcome {
        let order = job.order
        guard order.previous != nil, !order.host.isEmpty else { return RolloutOutcome(.drained, "nothing to drain") }
        let target = try target(order)
        var observed = try await target.observe(deployment: order.deployment)
        if let ended = ended(observed, below: shape.started) { return await unfit(order, ended) }
        let route = try await wantedRoute(job, shape, observed)
        // All instances gone by now? They are the supervisor's to bring back; the old ones are out of the route.
        guard !route.upstreams.isEmpty else { return RolloutOutcome(.drained, "no instance has an address") }
        guard let generation = try await router.refresh(route, by: order.fence) else {
            return RolloutOutcome(.drained, "a newer deployment owns the route")
        }
        var looks = 0
        let isEmpty = try await waitUntilDrained(before: generation, seconds: order.drainSeconds) {
            looks += 1
            if looks % 5 == 0 { observed = try await target.observe(deployment: order.deployment) }
            return ended(observed, below: shape.started) != nil
        }
        if let ended = ended(observed, below: shape.started) { return await unfit(order, ended) }
        return RolloutOutcome(
            .drained, isEmpty ? "all requests to the previous instances ended" : "drain time over, some connections remain")
    }

    private func ended(_ observed: [InstanceObservation], below count: Int) -> InstanceObservation? {
        observed.first { if case .exited = $0.state { $0.replica < count } else { false } }
    }

    func retire(_ job: RolloutJob, kept: Int) async throws -> RolloutOutcome {
        let order = job.order
        guard let previous = order.previous else { return RolloutOutcome(.retired, "the new instances serve") }
        let target = try target(job.before)
        if kept > 0 {
            for old in try await target.observe(deployment: previous) where old.replica >= kept {
                try await target.stop(instance: old.id, grace: stopGrace, by: order.claim)
            }
            return RolloutOutcome(.retired, "\(count(kept)) of the previous ones left")
        }
        // Whoever still looks after it, asleep perhaps, must not start it again.
        try await target.dismiss(deployment: previous, by: order.claim)
        try await target.stop(deployment: previous, grace: stopGrace, by: order.claim)
        return RolloutOutcome(.retired, "the new instances serve, the previous ones stopped")
    }

    /// The route that gives both versions their parts.
    func wantedRoute(_ job: RolloutJob, _ shape: RolloutShape, _ observed: [InstanceObservation]) async throws -> Route {
        let order = job.order
        let new = upstreams(observed, below: shape.started, order)
        guard shape.share < 1000, order.previous != nil else { return order.route(to: new) }
        let before = job.before
        let old = upstreams(try await target(before).observe(deployment: before.deployment), below: shape.kept, before)
        if new.isEmpty { return before.route(to: old) }
        // Nobody of the old ones is left to answer: the new ones are better than nothing.
        let rest = old.isEmpty ? nil : PreviousVersion(deployment: before.deployment, upstreams: old, share: 1000 - shape.share)
        var route = order.route(to: new, beside: rest)
        switch order.strategy {
        case .canary(let options): route.pins = options.pin
        case .blueGreen(let options): route.preview = options.preview
        case .rolling: break
        }
        return route
    }

    func upstreams(_ observed: [InstanceObservation], below count: Int, _ order: RolloutOrder) -> [Upstream] {
        observed.filter { $0.replica < count }.compactMap { $0.upstream(port: order.service.port) }
    }

    private func share(_ shape: RolloutShape, _ order: RolloutOrder) -> String {
        if shape.started == 0 { return "\(count(shape.kept)) of the previous version serve" }
        let percent = Double(shape.share) / 10
        let text = percent == percent.rounded() ? "\(Int(percent))" : "\(percent)"
        return "\(count(shape.started)) of \(order.image.short) get \(text) % of the requests"
    }

    /// Why the deployment cannot take requests: one of its first instances is missing, not running or without address.
    func firstUnfit(_ order: RolloutOrder, _ observed: [InstanceObservation], _ instances: Int) async throws -> RolloutOutcome? {
        for replica in 0..<instances {
            let id = InstanceSpec.id(order: order, replica: replica)
            guard let found = observed.first(where: { $0.id == id }) else { return unfit("instance \(id) disappeared") }
            switch found.state {
            case .running where found.address != nil || order.host.isEmpty: continue
            case .running, .created: return unfit("instance \(id) has no address")
            case .exited: return await unfit(order, found)
            }
        }
        return nil
    }

    func unfit(_ reason: String, lines: [String] = []) -> RolloutOutcome { RolloutOutcome(.unfit(reason), reason, lastLogLines: lines) }

    /// An instance that ended, with its last words.
    func unfit(_ order: RolloutOrder, _ instance: InstanceObservation) async -> RolloutOutcome {
        let lines = await lastLines(order, instance.id)
        guard case .exited(let code, let outOfMemory) = instance.state else {
            return unfit("instance \(instance.id) did not become healthy", lines: lines)
        }
        return unfit("instance \(instance.id) \(outOfMemory ? "ran out of memory" : "exited with code \(code)")", lines: lines)
    }

    func lastLines(_ order: RolloutOrder, _ instance: String) async -> [String] {
        (try? await target(order).logTail(instance: instance, lines: 20)) ?? []
    }

    /// - Parameter isPointless: asked each time whether there is a reason to wait no longer.
    func waitUntilDrained(
        before generation: RouterGeneration, seconds: Double, isPointless: () async throws -> Bool = { false }
    ) async throws -> Bool {
        try await polling(every: .milliseconds(100), atMost: .seconds(max(0, seconds))) {
            if try await isPointless() { return true }
            return try await router.drained(before: generation)
        }
    }

    /// Asks until the answer is yes (true) or the time is over (false).
    private func polling(
        every interval: Duration, atMost limit: Duration, _ question: () async throws -> Bool
    ) async throws -> Bool {
        let watch = Stopwatch(clock)
        while true {
            if try await question() { return true }
            if watch.elapsed() >= limit { return false }
            try await clock.sleep(for: interval)
        }
    }
}
