import DeliveryModel

/// The health questions of rollout and supervisor.
struct Health {
    /// Bytes of an answer in which expected text is looked for.
    static let bodyLimit = 64 << 10

    let probe: any HTTPProbe
    /// Where commands run.
    let target: any Target

    /// One question to each instance at once: nil for a good answer, otherwise what was expected and what came.
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
        let timeout = Duration.seconds(max(0.1, service.health.timeout))
        guard instance.state == .running else { return "it does not run yet" }
        do {
            switch service.health.probe {
            case .http(let request): return try await problem(instance, request, service, host, timeout)
            case .tcp(let port):
                guard let address = instance.address else { return "no address yet" }
                try await probe.connect(address, port: instance.healthPort ?? port, timeout: timeout)
                return nil
            case .command(let words):
                return Self.problem(try await target.run(words, in: instance.id, timeout: timeout), service.health)
            case .none: return nil
            }
        } catch {
            return "\(service.health.probe): \(error)"
        }
    }

    private func problem(
        _ instance: InstanceObservation, _ request: HealthCheck.Request, _ service: ServiceDefinition, _ host: String, _ timeout: Duration
    ) async throws -> String? {
        guard let upstream = instance.upstream(port: service.port) else { return "no address yet" }
        let answer = try await probe.get(
            ProbeQuestion(
                address: upstream.address, port: upstream.port, path: request.path, host: host.isEmpty ? nil : host,
                headers: request.headers, bodyLimit: request.body == nil ? 4096 : Self.bodyLimit, timeout: timeout))
        let words = Self.excerpt(String(decoding: answer.body.prefix(400), as: UTF8.self))
        guard request.status.contains(where: { $0.contains(answer.status) }) else {
            return "GET \(request.path): expected status \(request.statusText), got \(answer.status)" + (words.isEmpty ? "" : ": \(words)")
        }
        guard let text = request.body, answer.body.firstRange(of: Array(text.utf8)) == nil else { return nil }
        return "GET \(request.path): expected '\(Self.excerpt(text))' in the body, got " + (words.isEmpty ? "an empty one" : "'\(words)'")
    }

    private static func problem(_ end: CommandEnd, _ health: HealthCheck) -> String? {
        let words = excerpt(end.lastLine)
        let tail = words.isEmpty ? "" : ": \(words)"
        switch end.status {
        case .exited(0): return nil
        case .exited(let code): return "\(health.probe): expected exit code 0, got \(code)\(tail)"
        case .timedOut: return "\(health.probe): no end within \(Quantities.seconds(health.timeout))\(tail)"
        }
    }

    /// What fits into a sentence.
    private static func excerpt(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        let short = line.unicodeScalars.prefix(120).map { $0.value < 32 || $0.value == 127 ? "?" : Character($0) }
        return String(short) + (line.unicodeScalars.count > 120 ? "…" : "")
    }
}

/// Times as they are told.
enum Quantities {
    /// `2 s`, `0.5 s`.
    static func seconds(_ seconds: Double) -> String {
        seconds == seconds.rounded() && abs(seconds) < 1e9 ? "\(Int(seconds)) s" : "\(seconds) s"
    }
}
