import DeliveryModel
import OCIModel

extension Rollout {
    func start(_ order: RolloutOrder) async throws -> Outcome {
        for instance in order.instances {
            try await target.start(instance, by: order.claim)
        }
        return Outcome(.started, "\(count(order)) started, waiting for \(order.service.health.path)")
    }

    func switchOver(_ order: RolloutOrder) async throws -> Outcome {
        guard !order.host.isEmpty else { return Outcome(.switched, "no host name, nothing to switch") }
        let observed = try await target.observe(deployment: order.deployment)
        if let unfit = try await firstUnfit(order, observed) { return unfit }
        let generation = try await router.apply(route(order, observed), by: order.fence)
        return Outcome(.switched, "\(order.host) handed over with \(generation)")
    }

    func confirm(_ order: RolloutOrder) async throws -> Outcome {
        guard !order.host.isEmpty else { return Outcome(.confirmed, "nothing to confirm") }
        let observed = try await target.observe(deployment: order.deployment)
        if let unfit = try await firstUnfit(order, observed) { return unfit }
        // The same route again: changes nothing, and tells the generation when a crash made us forget it.
        let generation = try await router.apply(route(order, observed), by: order.fence)
        try await router.confirm(generation)
        return Outcome(.confirmed, "\(order.host) is answered by \(count(order)) of \(order.image.short) only")
    }

    func drain(_ order: RolloutOrder) async throws -> Outcome {
        guard order.previous != nil, !order.host.isEmpty else { return Outcome(.drained, "nothing to drain") }
        let observed = try await target.observe(deployment: order.deployment)
        let upstreams = observed.compactMap { $0.upstream(port: order.service.port) }
        // All instances gone by now? They are the supervisor's to bring back; the old ones are out of the route.
        guard !upstreams.isEmpty else { return Outcome(.drained, "no instance has an address") }
        let generation = try await router.refresh(route(order, observed), by: order.fence)
        guard let generation else { return Outcome(.drained, "a newer deployment owns the route") }
        let empty = try await waitUntilDrained(before: generation, seconds: order.drainSeconds)
        return Outcome(
            .drained,
            empty ? "all requests to the previous instances ended" : "drain time over, some connections remain")
    }

    func retire(_ order: RolloutOrder) async throws -> Outcome {
        guard let previous = order.previous else { return Outcome(.retired, "\(count(order)) serving") }
        // Whoever still looks after it, asleep perhaps, must not start it again.
        try await target.dismiss(deployment: previous, by: order.claim)
        try await target.stop(deployment: previous, grace: stopGrace, by: order.claim)
        return Outcome(.retired, "\(count(order)) serving, the previous ones stopped")
    }

    func revert(_ order: RolloutOrder) async throws -> Outcome {
        var message = "nothing was switched, the new instances are stopped"
        if !order.host.isEmpty, let route = try await router.currentRoute(key: order.routeKey),
            route.deployment == order.deployment
        {
            let old =
                if let previous = order.previous {
                    try await target.observe(deployment: previous).compactMap { $0.upstream(port: order.service.port) }
                } else { [Upstream]() }
            if let previous = order.previous, !old.isEmpty {
                let generation = try await router.apply(
                    Route(key: order.routeKey, host: order.host, upstreams: old, deployment: previous), by: order.fence)
                try await router.confirm(generation)
                _ = try await waitUntilDrained(before: generation, seconds: order.drainSeconds)
                message = "\(order.host) is back with the previous instances, the new ones are stopped"
            } else {
                try await router.remove(key: order.routeKey, by: order.fence)
                message = "there is nothing to go back to: the route is removed, the new instances are stopped"
            }
        } else if order.previous != nil {
            message = "the previous instances kept serving, the new ones are stopped"
        }
        try await target.stop(deployment: order.deployment, grace: stopGrace, by: order.claim)
        return Outcome(.reverted, message)
    }

    /// Why the deployment cannot take requests: an instance is missing, not running or without address.
    func firstUnfit(_ order: RolloutOrder, _ observed: [InstanceObservation]) async throws -> Outcome? {
        for instance in order.instances {
            guard let found = observed.first(where: { $0.id == instance.id }) else {
                return Outcome(.unfit, "instance \(instance.id) disappeared")
            }
            switch found.state {
            case .running where found.address != nil || order.host.isEmpty: continue
            case .running, .created: return Outcome(.unfit, "instance \(instance.id) has no address")
            case .exited: return await unfit(found)
            }
        }
        return nil
    }

    /// An instance that ended, with its last words.
    func unfit(_ instance: InstanceObservation) async -> Outcome {
        let lines = await lastLines(instance.id)
        guard case .exited(let code, let outOfMemory) = instance.state else {
            return Outcome(.unfit, "instance \(instance.id) did not become healthy", lastLogLines: lines)
        }
        let reason = outOfMemory ? "ran out of memory" : "exited with code \(code)"
        return Outcome(.unfit, "instance \(instance.id) \(reason)", lastLogLines: lines)
    }

    func lastLines(_ instance: String) async -> [String] {
        (try? await target.logTail(instance: instance, lines: 20)) ?? []
    }

    private func route(_ order: RolloutOrder, _ observed: [InstanceObservation]) -> Route {
        let ids = Set(order.instances.map(\.id))
        return Route(
            key: order.routeKey, host: order.host,
            upstreams: observed.filter { ids.contains($0.id) }.compactMap { $0.upstream(port: order.service.port) },
            deployment: order.deployment)
    }

    private func waitUntilDrained(before generation: RouterGeneration, seconds: Double) async throws -> Bool {
        try await polling(every: .milliseconds(100), atMost: .seconds(max(0, seconds))) {
            try await router.drained(before: generation)
        }
    }

    /// Asks until the answer is yes (true) or the time is over (false).
    func polling(
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

/// Time since it was made, on any clock.
struct Stopwatch {
    let elapsed: () -> Duration

    init(_ clock: any Clock<Duration>) { self.elapsed = Self.start(clock) }

    private static func start<C: Clock>(_ clock: C) -> () -> Duration where C.Duration == Duration {
        let started = clock.now
        return { started.duration(to: clock.now) }
    }
}
