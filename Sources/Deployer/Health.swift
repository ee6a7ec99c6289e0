import DeliveryModel

/// The health questions of rollout and supervisor.
struct Health {
    let probe: any HTTPProbe

    /// One question to each instance at once: nil for a good answer, otherwise what was wrong.
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
