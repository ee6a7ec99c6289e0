import DeliveryModel
import Logging
import Synchronization
import SystemPackage
import Testing

@testable import Deployer

struct SupervisorTests {
    let target = FakeTarget()
    let router = FakeRouter()
    let probe = FakeProbe()
    let clock = JumpClock()

    func supervisor(_ folder: FilePath, _ orders: [RolloutOrder]) -> Supervisor {
        let clock = clock
        return Supervisor(
            targets: ["local": target], router: router, probe: probe, stateFile: folder.appending("restarts.json"), clock: clock,
            now: { 1_000_000 + clock.seconds }, logger: Logger(label: "test"), declared: { orders })
    }

    func wait(_ seconds: Int) async throws { try await clock.sleep(for: .seconds(seconds)) }

    @Test func startsWhatIsMissingAndRoutesIt() async throws {
        try await withTemporaryFolder { folder in
            let live = order("one")
            let supervisor = supervisor(folder, [live])
            let actions = try await supervisor.tick()
            #expect(actions.count == 2)
            #expect(target.running("one") == 2)
            #expect(try await supervisor.tick() == [.routed(key: "shop/web/prod")])
            #expect(try await supervisor.tick().isEmpty)
        }
    }

    @Test func restartsAtMostEveryFiveSecondsOverRestartsOfTheServer() async throws {
        try await withTemporaryFolder { folder in
            let live = order("one", replicas: 1)
            let id = live.instances[0].id
            let first = supervisor(folder, [live])
            #expect(try await first.tick() == [.started(instance: id, reason: "it is gone")])
            target.end(id, code: 1)
            #expect(try await first.tick() == [.postponed(instance: id, reason: "it exited with code 1")])
            try await wait(4)
            let second = supervisor(folder, [live])
            #expect(try await second.tick() == [.postponed(instance: id, reason: "it exited with code 1")])
            try await wait(1)
            #expect(try await second.tick() == [.started(instance: id, reason: "it exited with code 1")])
            #expect(target.running("one") == 1)
        }
    }

    @Test func followsAddressesAndStopsSurplus() async throws {
        try await withTemporaryFolder { folder in
            let live = order("one")
            let supervisor = supervisor(folder, [live])
            try await supervisor.tick()
            try await supervisor.tick()
            try await wait(6)
            target.end(live.instances[0].id, code: 137)
            // The dead one leaves the route at once, the new one joins when it answered.
            try await supervisor.tick()
            #expect(try await router.currentUpstreams(key: "shop/web/prod").map(\.address) == ["10.0.0.2"])
            try await supervisor.tick()
            #expect(try await router.currentUpstreams(key: "shop/web/prod").map(\.address) == ["10.0.0.3", "10.0.0.2"])

            var fewer = live
            fewer.service.replicas = 1
            let smaller = self.supervisor(folder, [fewer])
            try await smaller.tick()
            #expect(target.running("one") == 1)
            #expect(try await router.currentUpstreams(key: "shop/web/prod").map(\.address) == ["10.0.0.3"])
        }
    }

    /// Nothing is stopped that requests still go to, or that has some.
    @Test func surplusGoesWhenItsRequestsHaveEnded() async throws {
        try await withTemporaryFolder { folder in
            let live = order("one")
            let many = supervisor(folder, [live])
            try await many.tick()
            try await many.tick()
            var fewer = live
            fewer.service.replicas = 1
            router.state.withLock { $0.neverDrains = true }
            let few = supervisor(folder, [fewer])
            #expect(try await few.tick() == [.routed(key: "shop/web/prod")])
            #expect(target.running("one") == 2)
            try await wait(1)
            #expect(try await few.tick().isEmpty && target.running("one") == 2)
            router.state.withLock { $0.neverDrains = false }
            #expect(try await few.tick() == [.stoppedSurplus(instance: live.instances[1].id)])
            // Those that never end have the drain time.
            router.state.withLock { $0.neverDrains = true }
            try await wait(6)
            try await many.tick()
            try await many.tick()
            #expect(target.running("one") == 2)
            try await few.tick()
            try await wait(Int(live.drainSeconds))
            #expect(try await few.tick() == [.stoppedSurplus(instance: live.instances[1].id)])
        }
    }

    @Test func toleratesSomeBadAnswers() async throws {
        try await withTemporaryFolder { folder in
            let live = order("one", replicas: 1)
            let id = live.instances[0].id
            let supervisor = supervisor(folder, [live])
            try await supervisor.tick()
            try await supervisor.tick()
            try await wait(60)
            probe.bad.withLock { $0 = ["10.0.0.1"] }
            #expect(try await supervisor.tick().isEmpty)
            #expect(try await supervisor.tick().isEmpty)
            #expect(
                try await supervisor.tick() == [.started(instance: id, reason: "GET /healthz: expected status 200-399, got 500")])
            #expect(try await supervisor.tick() == [.routed(key: "shop/web/prod")])
            #expect(try await router.currentUpstreams(key: "shop/web/prod").map(\.address) == ["10.0.0.2"])
        }
    }

    @Test func aThresholdAndAnIntervalAreTheServices() async throws {
        try await withTemporaryFolder { folder in
            var live = order("one", replicas: 1)
            live.service.health.unhealthy = 2
            live.service.health.interval = 10
            let id = live.instances[0].id
            let supervisor = supervisor(folder, [live])
            for _ in 0..<3 { try await supervisor.tick() }
            probe.bad.withLock { $0 = ["10.0.0.1"] }
            try await wait(10)
            // Asked once, and not again before its interval is over.
            for _ in 0..<5 { #expect(try await supervisor.tick().isEmpty) }
            try await wait(10)
            #expect(
                try await supervisor.tick() == [.started(instance: id, reason: "GET /healthz: expected status 200-399, got 500")])
            // It has its grace time, 20 s, to come up: what it answers until then does not count.
            probe.bad.withLock { $0 = ["10.0.0.2"] }
            for _ in 0..<2 {
                #expect(try await supervisor.tick().isEmpty)
                try await wait(10)
            }
            for _ in 0..<2 {
                #expect(try await supervisor.tick().isEmpty)
                try await wait(10)
            }
            #expect(try await supervisor.tick().count == 1)
        }
    }

    @Test func oneThatHangsDoesNotKeepTheOthersWaiting() async throws {
        try await withTemporaryFolder { folder in
            var hung = order("one", replicas: 1)
            hung.stage = "dev"
            hung.service.health = HealthCheck(.command(["hang"]))
            let gate = Mutex(false)
            target.state.withLock { $0.command = { while !gate.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(5)) } } }
            let supervisor = supervisor(folder, [hung, order("two", replicas: 1)])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await supervisor.run() }
                #expect(try await eventually { try await router.currentUpstreams(key: "shop/web/prod").count == 1 })
                target.end(order("two", replicas: 1).instances[0].id, code: 1)
                #expect(try await eventually { try await router.currentUpstreams(key: "shop/web/prod").map(\.address) == ["10.0.0.3"] })
                gate.withLock { $0 = true }
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }

    @Test func leavesWhatAnotherDeploymentRoutesAlone() async throws {
        try await withTemporaryFolder { folder in
            let old = order("one")
            let upstream = Upstream(address: "10.0.0.9", port: 1)
            _ = try await router.apply(
                Route(key: "shop/web/prod", host: "shop.localhost", upstreams: [upstream], deployment: "two"))
            #expect(try await supervisor(folder, [old]).tick().isEmpty)
            #expect(target.state.withLock { $0.starts.isEmpty })
        }
    }

    @Test func whatItStartedTooLateIsStopped() async throws {
        try await withTemporaryFolder { folder in
            let old = order("one", replicas: 1)
            let router = router
            // As when this server was frozen here: another deployment took the requests and stopped this one's instances.
            target.state.withLock { state in
                state.meanwhile = {
                    let upstream = Upstream(address: "10.0.0.9", port: 1)
                    router.state.withLock {
                        $0.routes["shop/web/prod"] = Route(
                            key: "shop/web/prod", host: "shop.localhost", upstreams: [upstream], deployment: "two")
                    }
                }
            }
            let actions = try await supervisor(folder, [old]).tick()
            #expect(actions == [.stoppedSurplus(instance: old.instances[0].id)])
            #expect(target.running("one") == 0)
            let route = try await router.currentRoute(key: "shop/web/prod")
            #expect(route?.deployment == "two")
        }
    }

    /// Two that start the same instance must not meet: the machine comes first, the supervisor when that has not happened.
    @Test func whatTheMachineStartsAgainIsLeftToItForAWhile() async throws {
        try await withTemporaryFolder { folder in
            let live = order("one", replicas: 1)
            let id = live.instances[0].id
            target.state.withLock { $0.upkeep[id] = .missing }
            let supervisor = supervisor(folder, [live])
            #expect(try await supervisor.tick() == [.started(instance: id, reason: "it is gone")])
            #expect(try await target.upkeep(of: id) == .machine)
            _ = try await supervisor.tick()
            try await wait(60)
            target.end(id, code: 1)
            for _ in 0..<10 {
                #expect(try await supervisor.tick().isEmpty)
                try await wait(1)
            }
            // It is back, and has its grace time of 20 s, whatever it answered before.
            target.revive(id, at: 1_000_000 + clock.seconds)
            probe.bad.withLock { $0 = ["10.0.0.1"] }
            for _ in 0..<15 {
                #expect(try await supervisor.tick().isEmpty)
                try await wait(1)
            }
            probe.bad.withLock { $0 = [] }
            #expect(try await supervisor.tick().isEmpty)
            #expect(target.state.withLock { $0.starts } == [id])
            // Not answering is the supervisor's affair at once.
            probe.bad.withLock { $0 = ["10.0.0.1"] }
            for _ in 0..<2 { #expect(try await supervisor.tick().isEmpty) }
            #expect(try await supervisor.tick().count == 1)
            #expect(target.state.withLock { $0.starts } == [id, id])
            // What systemd does not start, it starts.
            probe.bad.withLock { $0 = [] }
            try await wait(60)
            _ = try await supervisor.tick()
            target.end(id, code: 1)
            for _ in 0..<15 {
                #expect(try await supervisor.tick().isEmpty)
                try await wait(1)
            }
            #expect(try await supervisor.tick() == [.started(instance: id, reason: "it exited with code 1")])
        }
    }

    @Test func aMachineThatDoesNotKnowOfAnInstanceIsTold() async throws {
        try await withTemporaryFolder { folder in
            let live = order("one", replicas: 1)
            let id = live.instances[0].id
            let supervisor = supervisor(folder, [live])
            for _ in 0..<2 { _ = try await supervisor.tick() }
            target.state.withLock { $0.upkeep[id] = .missing }
            #expect(try await supervisor.tick().isEmpty)
            #expect(try await target.upkeep(of: id) == .machine)
            #expect(target.state.withLock { $0.starts } == [id])
        }
    }

    @Test func endsWhenCancelled() async throws {
        try await withTemporaryFolder { folder in
            let supervisor = supervisor(folder, [order("one")])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await supervisor.run() }
                #expect(try await eventually { target.running("one") == 2 })
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }
}
