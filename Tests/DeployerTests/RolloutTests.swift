import DeliveryModel
import Synchronization
import Testing

@testable import Deployer

struct RolloutTests {
    let target = FakeTarget()
    let router = FakeRouter()
    let probe = FakeProbe()
    let clock = JumpClock()

    var rollout: Rollout {
        let clock = clock
        return Rollout(targets: ["local": target], router: router, probe: probe, clock: clock, now: { clock.seconds })
    }

    /// Carries it out to the end; every task is done twice, as after a crash before its outcome was recorded.
    @discardableResult
    func carryOut(
        _ order: RolloutOrder, previous: RolloutOrder? = nil, soak: Double = 0, twice: Bool = true,
        each: (RolloutProgress) async throws -> Void = { _ in }
    ) async throws -> [RolloutPhase] {
        var progress = RolloutProgress.begun(order, previous: previous, soak: soak)
        var phases = [progress.phase]
        while !progress.phase.isTerminal {
            if progress.waitsForPerson {
                progress.apply(.waited("ann"), at: clock.seconds)
                continue
            }
            if twice {
                var again = progress
                _ = try await rollout.step(&again, order, previous: previous, at: clock.seconds)
            }
            _ = try await rollout.step(&progress, order, previous: previous, at: clock.seconds)
            try await each(progress)
            phases.append(progress.phase)
            try #require(phases.count < 200)
        }
        return phases
    }

    /// Carries out until a phase is reached.
    func begin(_ order: RolloutOrder, previous: RolloutOrder? = nil, until phase: RolloutPhase) async throws -> RolloutProgress {
        var progress = RolloutProgress.begun(order, previous: previous)
        while progress.phase != phase {
            try #require(!progress.phase.isTerminal)
            _ = try await rollout.step(&progress, order, previous: previous, at: clock.seconds)
        }
        return progress
    }

    var route: Route? { get async throws { try await router.currentRoute(key: "shop/web/prod") } }

    @Test(arguments: [false, true]) func blueGreen(twice: Bool) async throws {
        let one = order("one")
        #expect(
            try await carryOut(one, twice: twice)
                == [.preparing, .starting, .warming, .switching, .confirming, .succeeded])
        #expect(target.running("one") == 2)
        #expect(
            try await carryOut(order("two", previous: "one"), previous: one, soak: 10, twice: twice)
                == [.preparing, .starting, .warming, .switching, .confirming, .soaking, .draining, .retiring, .succeeded])
        #expect(target.running("one") == 0 && target.running("two") == 2)
        #expect(target.state.withLock { $0.starts.count } == 4)
        let route = try await route
        #expect(route?.deployment == "two" && route?.previous == nil && route?.upstreams.map(\.port) == [8080, 8080])
    }

    @Test func aPreviewIsReachedBeforeTheSwitch() async throws {
        let one = order("one")
        try await carryOut(one)
        let options = RolloutStrategy.BlueGreen(preview: "next.shop.localhost", pause: .manual)
        let two = order("two", previous: "one", strategy: .blueGreen(options))
        let progress = try await begin(two, previous: one, until: .pausing)
        #expect(progress.waitsForPerson && progress.share == 0)
        let route = try await route
        #expect(route?.preview == "next.shop.localhost" && route?.deployment == "two")
        #expect(route?.previous?.share == 1000 && route?.previous?.deployment == "one" && route?.previous?.upstreams.count == 2)
        try await carryOut(two, previous: one)
        #expect(try await self.route?.preview == nil)
        #expect(target.running("one") == 0)
    }

    @Test func theContainersOfACanaryServeInTheEnd() async throws {
        let one = order("one", replicas: 4)
        try await carryOut(one)
        let two = order(
            "two", previous: "one", replicas: 4, strategy: .canary(.init(weights: [50, 250, 500], hold: .seconds(60), pin: true)))
        var seen: [Int] = []
        var canary: String?
        let phases = try await carryOut(two, previous: one) { progress in
            guard progress.phase == .pausing else { return }
            let route = try await self.route
            seen.append(1000 - (route?.previous?.share ?? 0))
            #expect(route?.pins == true && route?.previous?.upstreams.count == 4)
            #expect(target.running("two") == [1, 1, 2][seen.count - 1])
            canary = canary ?? route?.upstreams.first?.address
            #expect(route?.upstreams.first?.address == canary)
        }
        #expect(seen == [50, 250, 500])
        #expect(phases.count { $0 == .pausing } == 3 && phases.last == .succeeded)
        // Each pause lasts as long as was asked for.
        #expect((180...190).contains(clock.seconds))
        #expect(try await route?.upstreams.first?.address == canary)
        #expect(target.state.withLock { $0.starts.count { $0.contains("shop-prod") } } == 8)
    }

    @Test(arguments: [(1, 0), (0, 1), (2, 1), (1, 3)]) func rolling(surge: Int, unavailable: Int) async throws {
        let one = order("one", replicas: 4)
        try await carryOut(one)
        let two = order(
            "two", previous: "one", replicas: 4, strategy: .rolling(.init(maxSurge: surge, maxUnavailable: unavailable, ready: 3)))
        let phases = try await carryOut(two, previous: one) { _ in
            let route = try await self.route
            let serving = (route?.upstreams.count ?? 0) + (route?.previous?.upstreams.count ?? 0)
            #expect(serving >= max(1, 4 - unavailable))
            #expect(target.running("one") + target.running("two") <= 4 + surge)
        }
        #expect(phases.last == .succeeded)
        #expect(target.running("one") == 0 && target.running("two") == 4)
    }

    @Test func aRollingUpdateThatFailsBringsTheOldOnesBack() async throws {
        let one = order("one", replicas: 3)
        try await carryOut(one)
        let two = order("two", previous: "one", replicas: 3, strategy: .rolling(.init()))
        var progress = RolloutProgress.begun(two, previous: one)
        while progress.wave < 2 { _ = try await rollout.step(&progress, two, previous: one, at: clock.seconds) }
        #expect(target.running("one") == 1 && target.running("two") == 2)
        target.end(two.instances[1].id, code: 1)
        while !progress.phase.isTerminal { _ = try await rollout.step(&progress, two, previous: one, at: clock.seconds) }
        #expect(progress.phase == .reverted && progress.ending?.reason.contains("exited with code 1") == true)
        #expect(target.running("one") == 3 && target.running("two") == 0)
        let route = try await route
        #expect(route?.deployment == "one" && route?.upstreams.count == 3 && route?.previous == nil)
    }

    @Test func theOldOnesKeepServingWhenAnInstanceEnds() async throws {
        let one = order("one")
        try await carryOut(one)
        let before = try await route
        let two = order("two", previous: "one")
        var progress = try await begin(two, previous: one, until: .warming)
        let id = two.instances[1].id
        target.end(id, code: 3)
        let outcome = try await rollout.step(&progress, two, previous: one)
        #expect(outcome.event == .unfit("instance \(id) exited with code 3"))
        #expect(outcome.lastLogLines == ["last words of \(id)"])
        #expect(progress.phase == .reverting)
        _ = try await rollout.step(&progress, two, previous: one)
        #expect(progress.phase == .reverted)
        #expect(try await route == before)
        #expect(target.running("one") == 2)
        #expect(try await target.observe(deployment: "two").isEmpty)
    }

    @Test(arguments: ["ends", "stops answering", "flaps"]) func aCanaryThatGoesBadIsTakenBack(_ how: String) async throws {
        let one = order("one")
        try await carryOut(one)
        let two = order("two", previous: "one", strategy: .canary(.init(weights: [500], hold: .seconds(600))))
        var progress = try await begin(two, previous: one, until: .pausing)
        let address = try #require(try await route?.upstreams.first?.address)
        switch how {
        case "ends": target.end(two.instances[0].id, code: 9)
        case "stops answering": probe.bad.withLock { $0 = [address] }
        default: probe.flapping.withLock { $0 = [address] }
        }
        let outcome = try await rollout.step(&progress, two, previous: one, at: clock.seconds)
        #expect(outcome.message.contains(["ends": "exited with code 9", "stops answering": "stopped answering"][how] ?? "flapping"))
        #expect(clock.seconds < 60)
        _ = try await rollout.step(&progress, two, previous: one)
        #expect(progress.phase == .reverted)
        #expect(try await route?.deployment == "one")
        #expect(target.running("two") == 0 && target.running("one") == 2)
    }

    @Test(arguments: [0.0, 0.08]) func aCanaryIsComparedWithTheVersionBeside(errorRate: Double) async throws {
        let one = order("one")
        try await carryOut(one)
        let options = RolloutStrategy.Canary(weights: [250], hold: .seconds(60), abortIf: AbortRules(errorRate: 0.01))
        let two = order("two", previous: "one", strategy: .canary(options))
        var progress = try await begin(two, previous: one, until: .analysing)
        let clock = clock
        router.state.withLock { state in
            state.traffic = {
                ["two": (25.0, errorRate), "one": (75.0, 0)].map { version, numbers in
                    let requests = Int(numbers.0 * clock.seconds)
                    var latency = LatencyHistogram()
                    latency.add(seconds: 0.02, times: requests)
                    return VersionTraffic(
                        deployment: version, requests: requests, errors: Int(Double(requests) * numbers.1), latency: latency)
                }
            }
        }
        let reports = Mutex<[RolloutReport]>([])
        let job = RolloutJob(
            order: two, previous: one, heldUntil: progress.heldUntil, mark: progress.mark,
            report: { report in reports.withLock { $0.append(report) } })
        let outcome = try await rollout.perform(#require(progress.task), job)
        progress.apply(outcome.event, at: clock.seconds)
        let last = try #require(reports.withLock { $0.last })
        if errorRate > 0 {
            #expect(progress.phase == .reverting && outcome.message.contains("worse"), "\(outcome.message)")
            #expect(clock.seconds < 40 && last.samples.count < 15)
        } else {
            #expect(progress.phase == .starting && outcome.message.contains("not worse"), "\(outcome.message)")
            #expect((18...21).contains(last.samples.count) && last.looks == last.samples.count)
        }
    }

    @Test(
        arguments: [
            ([.success([])], true, "Prometheus finds nothing"), ([.success([]), .success([]), .success(["{a=b} 7"])], false, "query with {a=b} 7"),
            ([.failure(ProbeFailure("no answer")), .success([])], true, "Prometheus finds nothing"),
            ([.failure(ProbeFailure("no answer"))], false, "no answer, 5 times in a row"),
        ] as [([Result<[String], ProbeFailure>], Bool, String)])
    func aCanaryIsJudgedByAQuery(_ answers: [Result<[String], ProbeFailure>], goesOn: Bool, words: String) async throws {
        let one = order("one")
        try await carryOut(one)
        let rules = AbortRules(query: #"rate(failed{instance=~"$new"}[1m]) > rate(failed{instance=~"$old"}[1m])"#)
        let two = order("two", previous: "one", strategy: .canary(.init(weights: [250], hold: .seconds(60), abortIf: rules)))
        let refused = try await rollout.perform(.prepare, RolloutJob(order: two, previous: one))
        #expect(refused.message.contains("knows no Prometheus"), "\(refused.message)")
        let metrics = FakeMetrics(answers)
        let clock = clock
        let rollout = Rollout(
            targets: ["local": target], router: router, probe: probe, metrics: metrics, clock: clock, now: { clock.seconds })
        var progress = RolloutProgress.begun(two, previous: one)
        while progress.phase != .analysing {
            try #require(!progress.phase.isTerminal)
            _ = try await rollout.step(&progress, two, previous: one, at: clock.seconds)
        }
        let outcome = try await rollout.step(&progress, two, previous: one, at: clock.seconds)
        #expect(outcome.message.contains(words), "\(outcome.message)")
        #expect(progress.phase == (goesOn ? .starting : .reverting))
        #expect(
            metrics.questions.withLock { $0.first }
                == #"rate(failed{instance=~"10[.]0[.]0[.]3:8080"}[1m]) > rate(failed{instance=~"10[.]0[.]0[.]1:8080|10[.]0[.]0[.]2:8080"}[1m])"#)
    }

    @Test func oldInstancesAreLookedAfterInAPause() async throws {
        let one = order("one")
        try await carryOut(one)
        let two = order("two", previous: "one", strategy: .canary(.init(weights: [500], hold: .seconds(30))))
        var progress = try await begin(two, previous: one, until: .pausing)
        target.end(one.instances[0].id, code: 137)
        _ = try await rollout.step(&progress, two, previous: one, at: clock.seconds)
        #expect(progress.phase == .starting)
        #expect(target.running("one") == 2)
        let route = try await route
        #expect(route?.previous?.upstreams.map(\.address).sorted() == ["10.0.0.2", "10.0.0.4"])
    }

    @Test func aHolderThatWasTakenOverCannotSwitch() async throws {
        let one = order("one")
        try await carryOut(one)
        let before = try await route
        var stale = order("two", previous: "one")
        stale.number = 2
        stale.epoch = 1
        let progress = try await begin(stale, previous: one, until: .warming)
        // Another server takes over and gives up, without a word to the router about routes.
        var taker = stale
        taker.epoch = 2
        var his = progress
        his.apply(.cancelAsked("enough"), at: 0)
        _ = try await rollout.step(&his, taker, previous: one)
        #expect(his.phase == .cancelled)
        for task in [RolloutTask.start(instances: 2), .route(shape), .confirm(shape), .drain(shape), .revert] {
            await #expect { try await rollout.perform(task, RolloutJob(order: stale, previous: one)) } throws: {
                ($0 as? DeployerError)?.code == .staleHolder
            }
        }
        #expect(try await route == before)
        #expect(target.running("two") == 0)
    }

    private let shape = RolloutShape(started: 2, kept: 0, share: 1000)

    @Test func givesUpAfterTheGraceTime() async throws {
        let only = order("one", replicas: 1)
        probe.bad.withLock { $0 = ["10.0.0.1"] }
        var progress = try await begin(only, until: .warming)
        let outcome = try await rollout.step(&progress, only)
        #expect(progress.phase == .reverting)
        #expect(outcome.message.contains("within 20 s: GET /healthz: expected status 200-399, got 500"))
        #expect((20...22).contains(clock.seconds))
    }

    @Test func aRefusedStartReverts() async throws {
        target.state.withLock { $0.refuseStart = true }
        var progress = RolloutProgress.begun(order("one"))
        _ = try await rollout.step(&progress, order("one"))
        _ = try await rollout.step(&progress, order("one"))
        #expect(progress.phase == .reverting)
    }

    @Test func aTargetThatIsNotThereIsNamed() async throws {
        var lost = order("one")
        lost.target = "mars"
        var progress = RolloutProgress.begun(lost)
        let outcome = try await rollout.step(&progress, lost)
        #expect(progress.phase == .failed)
        #expect(outcome.message.contains("'mars'") && outcome.message.contains("local"))
    }

    @Test func anUnconfirmedSwitchGoesBack() async throws {
        let one = order("one")
        try await carryOut(one)
        let before = try await route
        let two = order("two", previous: "one")
        var progress = try await begin(two, previous: one, until: .confirming)
        #expect(try await route?.deployment == "two")
        router.state.withLock { $0.refuseConfirm = true }
        for phase in [RolloutPhase.reverting, .reverted] {
            _ = try await rollout.step(&progress, two, previous: one)
            #expect(progress.phase == phase)
        }
        #expect(try await route == before)
        #expect(target.running("one") == 2)
        #expect(target.running("two") == 0)
    }

    @Test func withNothingToGoBackToTheRouteIsRemoved() async throws {
        var progress = try await begin(order("one"), until: .confirming)
        progress.apply(.unfit("it burns"), at: 0)
        _ = try await rollout.step(&progress, order("one"))
        #expect(progress.phase == .reverted)
        #expect(try await route == nil)
    }

    @Test func drainingEndsWithItsTime() async throws {
        let one = order("one")
        try await carryOut(one)
        let two = order("two", previous: "one")
        var progress = try await begin(two, previous: one, until: .draining)
        router.state.withLock { $0.neverDrains = true }
        let before = clock.seconds
        let outcome = try await rollout.step(&progress, two, previous: one)
        #expect(progress.phase == .retiring)
        #expect(outcome.message.contains("drain time over"))
        #expect((4...6).contains(clock.seconds - before))
        #expect(target.running("one") == 2)
    }

    @Test(arguments: [true, false]) func aNewInstanceThatEndsWhileOldOnesDrainTakesItBack(atOnce: Bool) async throws {
        let one = order("one")
        try await carryOut(one)
        let two = order("two", previous: "one")
        var progress = try await begin(two, previous: one, until: .draining)
        router.state.withLock { $0.neverDrains = true }
        let instance = try #require(two.instances.first?.id)
        // At once, or some time after the waiting has begun.
        let target = target
        if atOnce { target.end(instance, code: 7) } else { clock.later(.seconds(2)) { target.end(instance, code: 7) } }
        let outcome = try await rollout.step(&progress, two, previous: one)
        #expect(progress.phase == .reverting && outcome.message.contains("exited with code 7"), "\(outcome)")
        #expect(outcome.lastLogLines == ["last words of \(instance)"])
        router.state.withLock { $0.neverDrains = false }
        _ = try await rollout.step(&progress, two, previous: one)
        #expect(progress.phase == .reverted && target.running("one") == 2 && target.running("two") == 0)
        #expect(try await route?.deployment == "one")
    }

    @Test func aDeploymentCannotReplaceItself() async {
        await #expect(throws: DeployerError.self) {
            try await rollout.perform(.prepare, RolloutJob(order: order("one", previous: "one")))
        }
    }

    @Test func instanceNames() {
        let id = InstanceSpec.id(project: "My_Shop", stage: "Prod", deployment: "d17", replica: 3)
        #expect(id.hasPrefix("my-shop-prod-"))
        #expect(id.hasSuffix("-3"))
        #expect(id != InstanceSpec.id(project: "My_Shop", stage: "Prod", deployment: "d18", replica: 3))
        let long = InstanceSpec.id(
            project: String(repeating: "ä", count: 90), stage: "é", deployment: "x", replica: 12)
        #expect(long.utf8.count <= 63)
        #expect(long.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 45 })
    }
}
