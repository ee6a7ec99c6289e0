import DeliveryModel
import FreePort
import Synchronization
import Testing

@testable import Deployer

/// What probes find, in the words in which it is told. Needs python3.
struct HealthTests {
    private func problem(
        _ check: HealthCheck, _ instance: InstanceObservation, port: Int? = nil, target: FakeTarget = FakeTarget()
    ) async throws -> String? {
        let answers = await Health(probe: testProbe, target: target).examine(
            [instance], service: ServiceDefinition(port: port, health: check), host: "shop.localhost")
        return try #require(answers.first).problem
    }

    private func instance(_ port: Int? = nil) -> InstanceObservation {
        InstanceObservation(id: "i", deployment: "d", replica: 0, state: .running, address: "127.0.0.1", port: port)
    }

    @Test func requests() async throws {
        let port = try freePort()
        try await withServers([("fine weather", "127.0.0.1")], port: port) { () async throws -> Void in
            func ask(_ request: HealthCheck.Request) async throws -> String? {
                try await problem(HealthCheck(.http(request), timeout: 30), instance(port), port: 1)
            }
            #expect(try await ask(.init()) == nil)
            #expect(try await ask(.init(path: "/bad")) == "GET /bad: expected status 200-399, got 503: fine weather")
            #expect(try await ask(.init(path: "/bad", status: [200...299, 503...503])) == nil)
            #expect(try await ask(.init(status: [204...204, 300...399])) == "GET /: expected status 204, 300-399, got 200: fine weather")
            #expect(try await ask(.init(body: "weather")) == nil)
            #expect(try await ask(.init(body: "rain")) == "GET /: expected 'rain' in the body, got 'fine weather'")
            // The stage's host, unless another is named.
            #expect(try await ask(.init(path: "/echo", body: "Host: shop.localhost")) == nil)
            #expect(try await ask(.init(path: "/echo", body: "Host: other.localhost", headers: ["Host": "other.localhost"])) == nil)
            #expect(try await ask(.init(path: "/echo", body: "X-Probe: 7", headers: ["X-Probe": "7"])) == nil)
            let slow = HealthCheck(.http(.init(path: "/slow/3")), timeout: 0.2)
            let stalled = HealthCheck(.http(.init(path: "/stalls")), timeout: 0.3)
            #expect(try await problem(stalled, instance(port)) == "GET /stalls: no answer within 0.3 s")
            #expect(try await problem(slow, instance(port)) == "GET /slow/3: no answer within 0.2 s")
        }
    }

    @Test func connections() async throws {
        let port = try freePort()
        try await withServers([("a", "127.0.0.1")], port: port) { () async throws -> Void in
            #expect(try await problem(HealthCheck(.tcp(port: port), timeout: 30), instance()) == nil)
            // A published port is another one than in the container.
            var published = instance()
            published.healthPort = port
            #expect(try await problem(HealthCheck(.tcp(port: 5432), timeout: 30), published) == nil)
        }
        #expect(try await problem(HealthCheck(.tcp(port: port), timeout: 30), instance()) == "a connection to port \(port): connection refused")
    }

    @Test func commands() async throws {
        let target = FakeTarget()
        let check = HealthCheck(.command(["pg_isready", "-q"]), timeout: 5)
        #expect(try await problem(check, instance(), target: target) == nil)
        target.state.withLock { $0.commandEnd = CommandEnd(.exited(2), output: "out\n", errors: "one\nno response\n\n") }
        #expect(
            try await problem(check, instance(), target: target)
                == "the command 'pg_isready -q': expected exit code 0, got 2: no response")
        target.state.withLock { $0.commandEnd = CommandEnd(.timedOut, output: "still asking\n", errors: "") }
        #expect(
            try await problem(check, instance(), target: target) == "the command 'pg_isready -q': no end within 5 s: still asking")
    }

    @Test func aWorkerIsHealthyWhileItRuns() async throws {
        #expect(try await problem(HealthCheck(.none), instance()) == nil)
        var coming = instance()
        coming.state = .created
        #expect(try await problem(HealthCheck(.none), coming) == "it does not run yet")
    }

    @Test func aWorkerIsDeployedWithoutARoute() async throws {
        let (target, router, clock) = (FakeTarget(), FakeRouter(), JumpClock())
        let rollout = Rollout(targets: ["local": target], router: router, probe: FakeProbe(), clock: clock, now: { clock.seconds })
        var worker = order("one")
        worker.host = ""
        worker.service.port = nil
        worker.service.health = HealthCheck(.command(["true"]))
        var progress = RolloutProgress()
        progress.apply(.begun(RolloutSchedule(strategy: worker.strategy, wanted: 2, serving: 0, isRouted: false, soak: 0)), at: 0)
        while !progress.phase.isTerminal { _ = try await rollout.step(&progress, worker, at: clock.seconds) }
        #expect(progress.phase == .succeeded && target.running("one") == 2)
        #expect(try await router.routes().isEmpty)

        // One whose command fails never becomes healthy, and it is said why.
        target.state.withLock { $0.commandEnd = CommandEnd(.exited(7), lastLine: "no queue") }
        var next = worker
        (next.deployment, next.previous) = ("two", "one")
        progress = RolloutProgress()
        progress.apply(.begun(RolloutSchedule(strategy: next.strategy, wanted: 2, serving: 2, isRouted: false, soak: 0)), at: 0)
        while !progress.phase.isTerminal { _ = try await rollout.step(&progress, next, previous: worker, at: clock.seconds) }
        #expect(progress.phase == .reverted)
        #expect(progress.ending?.reason.contains("the command 'true': expected exit code 0, got 7: no queue") == true, "\(progress)")
        #expect(target.running("one") == 2)
    }
}
