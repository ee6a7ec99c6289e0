import DeliveryModel

extension Rollout {
    /// Asks every instance for its health path until each has answered well often enough in a row, one of them ends, or
    /// the grace time is over.
    func warm(_ order: RolloutOrder) async throws -> Outcome {
        let health = order.service.health
        let interval = Duration.seconds(min(max(health.interval, 0.05), 60))
        let needed = max(1, health.healthy)
        let watch = Stopwatch(clock)
        var streak: [String: Int] = [:]
        var last: [String: String] = [:]
        while true {
            let observed = try await target.observe(deployment: order.deployment)
            if let ended = observed.first(where: { if case .exited = $0.state { true } else { false } }) {
                return await unfit(ended)
            }
            let present = Set(observed.map(\.id))
            if let missing = order.instances.first(where: { !present.contains($0.id) }) {
                return Outcome(.unfit, "instance \(missing.id) disappeared")
            }
            for (id, problem) in await examine(observed, order) {
                streak[id] = problem == nil ? streak[id, default: 0] + 1 : 0
                last[id] = problem
            }
            let waiting = order.instances.filter { streak[$0.id, default: 0] < needed }
            if waiting.isEmpty { return Outcome(.warm, "\(count(order)) healthy") }
            if watch.elapsed() >= .seconds(health.grace), let id = waiting.first?.id {
                let seconds = Int(health.grace)
                return Outcome(
                    .unfit, "instance \(id) was not healthy within \(seconds) s: \(last[id] ?? "too few good answers")",
                    lastLogLines: await lastLines(id))
            }
            // A starting instance is asked more often: its first answer decides how soon requests can move.
            let eager = waiting.contains { streak[$0.id, default: 0] == 0 }
            try await clock.sleep(for: eager ? min(interval, .milliseconds(100)) : interval)
        }
    }

    /// One question to each instance at once: nil for a good answer, otherwise what was wrong.
    func examine(_ observed: [InstanceObservation], _ order: RolloutOrder) async -> [(id: String, problem: String?)] {
        await Health(probe: probe).examine(observed, service: order.service, host: order.host)
    }
}

/// The health questions of rollout and supervisor.
struct Health {
    let probe: any HTTPProbe

    func examine(
        _ observed: [InstanceObservation], service: ServiceDefinition, host: String
    ) async -> [(id: String, problem: String?)] {
        await withTaskGroup(of: (String, String?).self) { group in
            for instance in observed {
                group.addTask { (instance.id, await problem(instance, service, host)) }
            }
            var answers: [(id: String, problem: String?)] = []
            for await answer in group { answers.append((id: answer.0, problem: answer.1)) }
            return answers
        }
    }

    private func problem(_ instance: InstanceObservation, _ service: ServiceDefinition, _ host: String) async -> String? {
        guard let upstream = instance.upstream(port: service.port) else { return "no address yet" }
        let question = ProbeQuestion(
            address: upstream.address, port: upstream.port, path: service.health.path,
            host: host.isEmpty ? nil : host, timeout: .seconds(max(0.1, service.health.timeout)))
        do {
            let answer = try await probe.get(question)
            return answer.isHealthy ? nil : "\(service.health.path) answered \(answer.status)"
        } catch {
            return "\(service.health.path): \(error)"
        }
    }
}
