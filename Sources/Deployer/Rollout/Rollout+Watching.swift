import DeliveryModel
import OCIModel

extension Rollout {
    /// So many failed questions among the last so many make one that comes and goes unfit.
    private static let flapping = (failures: 5, of: 20)
    /// Between two starts of the same old instance, as under supervision.
    private static let restartDistance = Duration.seconds(5)

    /// Watches over both versions until the hold is over. A new instance that ends or stops answering makes the release
    /// unfit; an old one is started again.
    func watch(
        _ job: RolloutJob, _ shape: RolloutShape, _ hold: RolloutStrategy.Hold, isJudged: Bool
    ) async throws -> RolloutOutcome {
        let order = job.order
        let interval = Duration.seconds(min(max(order.service.health.interval, 0.05), 5))
        let clockwork = Stopwatch(clock)
        let tolerated = max(1, order.service.health.unhealthy)
        var answers: [String: [Bool]] = [:]
        var restarted: [String: Duration] = [:]
        var comparison = isJudged ? try Comparison(job, shape, hold) : nil
        while true {
            let observed = try await target(order).observe(deployment: order.deployment)
            if let unfit = try await firstUnfit(order, observed, shape.started) { return unfit }
            for (id, problem) in try await examine(observed, order) {
                answers[id] = (answers[id] ?? []).suffix(max(Self.flapping.of, 4 * tolerated) - 1) + [problem == nil]
                guard let problem, let reason = Self.verdict(answers[id] ?? [], tolerated) else { continue }
                return unfit("instance \(id) \(reason): \(problem)", lines: await lastLines(order, id))
            }
            try await tend(job, shape, observed, &restarted, at: clockwork.elapsed())
            let isOver = job.heldUntil.map { now() >= $0 } ?? false
            if let verdict = try await look(&comparison, job, at: clockwork.elapsed(), isLast: isOver) {
                if case .worse(let reason) = verdict { return unfit("the new version is worse: \(reason)") }
                if isOver { return RolloutOutcome(.waited(nil), verdict.sentence) }
            }
            if isOver { return RolloutOutcome(.waited(nil), "\(count(shape.started)) stayed healthy") }
            let left = job.heldUntil.map { Duration.seconds(max(0.05, $0 - now())) } ?? interval
            try await clock.sleep(for: min(interval, left))
        }
    }

    /// What the last answers of an instance say against it, if anything.
    private static func verdict(_ answers: [Bool], _ tolerated: Int) -> String? {
        if answers.suffix(tolerated).count == tolerated, !answers.suffix(tolerated).contains(true) { return "stopped answering well" }
        let bad = answers.count { !$0 }
        if bad >= max(flapping.failures, tolerated + 1) { return "is flapping (\(bad) bad answers of \(answers.count))" }
        return nil
    }

    /// Keeps the old instances running: the supervisor leaves a stage alone while it is being deployed to.
    private func tend(
        _ job: RolloutJob, _ shape: RolloutShape, _ observed: [InstanceObservation], _ restarted: inout [String: Duration],
        at time: Duration
    ) async throws {
        guard let previous = job.previous else { return }
        let target = try target(previous)
        let found = try await target.observe(deployment: previous.deployment)
        for instance in previous.instances.prefix(shape.kept) {
            let state = found.first { $0.id == instance.id }?.state
            if state == .running || state == .created { continue }
            if let last = restarted[instance.id], time - last < Self.restartDistance { continue }
            restarted[instance.id] = time
            guard let whole = try await job.wholePrevious() else { return }
            try await revive(InstanceSpec(order: whole, replica: instance.replica), on: target, by: job.order.claim)
        }
        // Its address may be another one now.
        guard shape.share < 1000, !job.order.host.isEmpty else { return }
        let wanted = try await wantedRoute(job, shape, observed)
        guard let seen = try await router.currentRoute(key: job.order.routeKey), seen != wanted, !wanted.upstreams.isEmpty else { return }
        _ = try await router.apply(wanted, by: job.order.fence)
    }

    /// Compares both versions when it is time for it; nil when it is not.
    private func look(_ comparison: inout Comparison?, _ job: RolloutJob, at time: Duration, isLast: Bool) async throws -> JudgeVerdict? {
        guard var current = comparison, isLast || time >= current.due else { return nil }
        let traffic = try await router.traffic(key: job.order.routeKey, since: current.mark)
        func of(_ deployment: String) -> VersionTraffic { traffic.first { $0.deployment == deployment } ?? VersionTraffic(deployment: deployment) }
        let (new, old) = (of(job.order.deployment), of(job.order.previous ?? ""))
        var verdict = current.judge.look(current.report.nextLook(share: current.share), at: new, beside: old, isLast: isLast).verdict
        if let query = current.judge.rules.query { verdict = try await ask(query, &current, job, verdict) }
        current.report.add(
            RolloutReport.Sample(at: now(), share: current.share, new: .init(new), old: .init(old)), verdict: verdict.sentence)
        current.due = time + current.interval
        comparison = current
        try await job.report(current.report)
        return verdict
    }
}

extension Rollout {
    /// So many questions in a row without an answer make a release that cannot be judged.
    private static let unansweredQuestions = 5

    /// What the monitoring adds to what the router's log says.
    private func ask(
        _ query: String, _ comparison: inout Comparison, _ job: RolloutJob, _ verdict: JudgeVerdict
    ) async throws -> JudgeVerdict {
        if case .worse = verdict { return verdict }
        let found: [String]
        do {
            guard let metrics else { throw ProbeFailure("the server knows no Prometheus") }
            found = try await metrics.series(try await filled(query, job))
        } catch let failure as ProbeFailure {
            comparison.unanswered += 1
            let reason = "Prometheus does not tell: \(failure)"
            return comparison.unanswered < Self.unansweredQuestions
                ? .undecided(reason) : .worse("\(reason), \(comparison.unanswered) times in a row")
        }
        comparison.unanswered = 0
        guard found.isEmpty else {
            let more = found.count > 3 ? " and \(found.count - 3) more" : ""
            return .worse("Prometheus answers the query with \(found.prefix(3).joined(separator: "; "))\(more)")
        }
        let quiet = "Prometheus finds nothing"
        let sentence = comparison.judge.rules.comparesTraffic ? "\(verdict.sentence); \(quiet)" : quiet
        return if case .passed = verdict { .passed(sentence) } else { .undecided(sentence) }
    }

    /// `address:port` of each instance that runs and listens.
    public func endpoints(of order: RolloutOrder) async throws -> [String] {
        try await target(order).observe(deployment: order.deployment).compactMap { $0.upstream(port: order.service.port)?.endpoint }
    }

    /// With the instances' addresses as regular expressions (RE2).
    private func filled(_ query: String, _ job: RolloutJob) async throws -> String {
        func addresses(_ order: RolloutOrder?) async throws -> String {
            guard let order else { return "" }
            return try await endpoints(of: order)
                .map { $0.split(separator: ".", omittingEmptySubsequences: false).joined(separator: "[.]") }.joined(separator: "|")
        }
        return query.replacing("$new", with: try await addresses(job.order)).replacing("$old", with: try await addresses(job.previous))
    }
}

/// How two versions are compared during a hold.
private struct Comparison {
    let judge: CanaryJudge
    let share: Int
    let mark: TrafficMark
    let interval: Duration
    var due: Duration
    /// Questions to the monitoring that had no answer, since the last one that had.
    var unanswered = 0
    var report: RolloutReport

    /// Nil when there is nothing to compare.
    init?(_ job: RolloutJob, _ shape: RolloutShape, _ hold: RolloutStrategy.Hold) throws {
        guard case .canary(let options) = job.order.strategy, let rules = options.abortIf, job.order.previous != nil, let text = job.mark
        else { return nil }
        mark = try OCIJSON.decode(TrafficMark.self, from: Array(text.utf8))
        judge = CanaryJudge(rules)
        share = shape.share
        report = job.compared
        if case .seconds(let seconds) = hold {
            interval = .seconds(min(max(seconds / 20, 1), 30))
        } else {
            interval = .seconds(10)
        }
        due = interval
    }
}
