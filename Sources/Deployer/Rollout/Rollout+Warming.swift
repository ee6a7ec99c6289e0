import DeliveryModel

extension Rollout {
    /// Asks the first instances for their health until each has answered well often enough in a row (for a rolling update also
    /// for long enough), one of them ends, or the grace time is over.
    func warm(_ order: RolloutOrder, _ instances: Int) async throws -> RolloutOutcome {
        let health = order.service.health
        let interval = Duration.seconds(min(max(health.interval, 0.05), 60))
        let wanted = (0..<instances).map { InstanceSpec.id(order: order, replica: $0) }
        let target = try target(order)
        let watch = Stopwatch(clock)
        var streak: [String: Int] = [:]
        var goodSince: [String: Duration] = [:]
        var last: [String: String] = [:]
        while true {
            let observed = try await target.observe(deployment: order.deployment).filter { wanted.contains($0.id) }
            if let ended = observed.first(where: { if case .exited = $0.state { true } else { false } }) {
                return await unfit(order, ended)
            }
            if let missing = wanted.first(where: { id in !observed.contains { $0.id == id } }) {
                return unfit("instance \(missing) disappeared")
            }
            for (id, problem) in try await examine(observed, order) {
                streak[id] = problem == nil ? streak[id, default: 0] + 1 : 0
                goodSince[id] = problem == nil ? goodSince[id] ?? watch.elapsed() : nil
                last[id] = problem
            }
            let elapsed = watch.elapsed()
            let waiting = wanted.filter { id in
                streak[id, default: 0] < max(1, health.healthy)
                    || elapsed - (goodSince[id] ?? elapsed) < .seconds(order.strategy.ready)
            }
            if waiting.isEmpty { return RolloutOutcome(.warm, "\(count(instances)) healthy") }
            if elapsed >= .seconds(health.grace + order.strategy.ready), let id = waiting.first {
                let reason =
                    "instance \(id) was not healthy within \(Int(health.grace + order.strategy.ready)) s: "
                    + (last[id] ?? "too few good answers")
                return unfit(reason, lines: await lastLines(order, id))
            }
            // A starting instance is asked more often: its first answer decides how soon requests can move.
            let eager = waiting.contains { streak[$0, default: 0] == 0 }
            try await clock.sleep(for: eager ? min(interval, .milliseconds(100)) : interval)
        }
    }

    /// One question to each instance at once: nil for a good answer, otherwise what was wrong.
    func examine(_ observed: [InstanceObservation], _ order: RolloutOrder) async throws -> [(id: String, problem: String?)] {
        await Health(probe: probe, target: try target(order)).examine(observed, service: order.service, host: order.host)
    }
}

extension RolloutStrategy {
    /// Seconds for which a new instance must stay healthy before it counts.
    fileprivate var ready: Double {
        if case .rolling(let options) = self { return options.ready }
        return 0
    }
}
