import DeliveryModel
import Foundation
import Testing

@testable import Deployer

/// What every target keeps, whatever instances are there. Needs root, runc, conmon, containernetworking-plugins, docker.io,
/// podman, curl, iproute2 and busybox-static.
@Suite(.serialized) struct TargetContractTests {
    @Test(arguments: TargetKind.allCases)
    func startsOnceAndObservesWhatIs(kind: TargetKind) async throws {
        try await TargetBench.with(kind) { bench in
            let target = bench.make()
            let claim = Claim(deployment: "d1", epoch: 1)
            try await target.admit(claim)
            #expect(try await target.observe(deployment: "d1").isEmpty)
            for replica in [1, 0] { try await target.start(bench.instance(replica: replica), by: claim) }
            let first = try await target.observe(deployment: "d1")
            #expect(first.map(\.replica) == [0, 1])
            #expect(first.map(\.id) == [bench.instance().id, bench.instance(replica: 1).id])
            #expect(first.allSatisfy { $0.state == .running && $0.deployment == "d1" })
            #expect(try await bench.answer(first[0]) == "hello\n")
            #expect(try await bench.answer(first[1]) == "hello\n")
            try await target.start(bench.instance(), by: claim)
            #expect(try await target.observe(deployment: "d1") == first)
            #expect(try await target.deployments() == ["d1"])
            #expect(try await target.observe(deployment: "d2").isEmpty)

            // A server that is started again sees the same, and may go on.
            let again = bench.make()
            #expect(try await again.observe(deployment: "d1") == first)
            try await again.start(bench.instance(), by: claim)
            #expect(try await again.observe(deployment: "d1") == first)
            try await again.stop(instance: bench.instance(replica: 1).id, grace: .seconds(5), by: claim)
            try await again.stop(instance: bench.instance(replica: 1).id, grace: .seconds(5), by: claim)
            #expect(try await again.observe(deployment: "d1").map(\.replica) == [0])
            try await again.stop(deployment: "d1", grace: .seconds(5), by: claim)
            #expect(try await again.deployments().isEmpty)
        }
    }

    @Test(arguments: TargetKind.allCases)
    func containersAreConfined(kind: TargetKind) async throws {
        let script = """
            exec >/tmp/page 2>&1; echo A=$A B=$B C=$C; touch /here && echo root can be written; touch /run/x && echo run can;
            b=/bin/busybox; $b grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; $b hostname; mkdir /tmp/w; $b cp /tmp/page /tmp/w/index.html
            trap 'exit 0' TERM; $b httpd -f -p 8080 -h /tmp/w & wait
            """
        try await TargetBench.with(kind) { bench in
            let target = bench.make()
            let claim = Claim(deployment: "d1", epoch: 1)
            try await target.admit(claim)
            try await target.start(bench.instance(command: ["sh", "-c", script]), by: claim)
            let page = try await bench.answer(try #require(target.observe(deployment: "d1").first), "/index.html")
            #expect(page.contains("A=image B=service C=stage\n"), "\(page)")
            #expect(page.contains("Read-only file system") && !page.contains("root can"), "\(page)")
            #expect(page.contains("run can"), "\(page)")
            // CAP_NET_BIND_SERVICE is bit 10, capabilities(7).
            #expect(page.contains("CapEff:\t0000000000000400"), "\(page)")
            #expect(page.contains("NoNewPrivs:\t1"), "\(page)")
            #expect(page.contains(bench.instance().id), "\(page)")
            try await target.stop(deployment: "d1", grace: .seconds(5), by: claim)
        }
    }

    @Test(arguments: TargetKind.allCases)
    func confinementIsLoosenedOnDemand(kind: TargetKind) async throws {
        let script = """
            b=/bin/busybox; w=/var/cache/app; echo here > /bin/here && $b grep -c " $w tmpfs " /proc/mounts > $w/index.html
            $b grep CapEff /proc/self/status >> $w/index.html; trap 'exit 0' TERM; $b httpd -f -p 8080 -h $w & wait
            """
        try await TargetBench.with(kind) { bench in
            let target = bench.make()
            let claim = Claim(deployment: "d1", epoch: 1)
            try await target.admit(claim)
            var instance = bench.instance(command: ["sh", "-c", script])
            instance.service.isolation = Isolation(
                readOnly: false, tmpfs: ["/var/cache/app"], capabilities: ["CHOWN", "NET_BIND_SERVICE", "SETUID"])
            try await target.start(instance, by: claim)
            let page = try await bench.answer(try #require(target.observe(deployment: "d1").first), "/index.html")
            // CAP_CHOWN is bit 0, CAP_SETUID 7, CAP_NET_BIND_SERVICE 10.
            #expect(page == "1\nCapEff:\t0000000000000481\n", "\(page)")
            try await target.stop(deployment: "d1", grace: .seconds(5), by: claim)
        }
    }

    @Test(arguments: TargetKind.allCases)
    func aContainerOfSomebodyElseIsLeftAlone(kind: TargetKind) async throws {
        try await TargetBench.with(kind) { bench in
            let target = bench.make()
            let claim = Claim(deployment: "d1", epoch: 1)
            let id = bench.instance().id
            try await target.admit(claim)
            try await bench.makeForeign(id)
            do {
                try await target.start(bench.instance(), by: claim)
                Issue.record("it was taken for the instance")
            } catch let error as DeployerError {
                #expect(error.code == .instanceFailed)
                #expect(error.message.contains(id))
            }
            #expect(try await target.observe(deployment: "d1").isEmpty)
            try await bench.removeForeign(id)
            try await target.start(bench.instance(), by: claim)
            #expect(try await bench.state(target) == [.running])
        }
    }

    @Test(arguments: TargetKind.allCases)
    func howAnInstanceEndedIsKnown(kind: TargetKind) async throws {
        try await TargetBench.with(kind) { bench in
            let target = bench.make()
            let claim = Claim(deployment: "d1", epoch: 1)
            try await target.admit(claim)
            let words = "b=/bin/busybox; for i in 1 2 3; do echo out $i; done; echo last words >&2; exit 7"
            try await target.start(bench.instance(command: ["sh", "-c", words]), by: claim)
            #expect(try await eventually { try await bench.state(target) == [.exited(code: 7, outOfMemory: false)] })
            // Between the two streams there is no order.
            let tail = try await target.logTail(instance: bench.instance().id, lines: 20)
            #expect(tail.filter { $0 != "last words" } == ["out 1", "out 2", "out 3"])
            #expect(tail.count == 4)
            #expect(try await target.logTail(instance: bench.instance().id, lines: 2).count == 2)
            // Looked at once more it is not started again: restarting is the supervisor's to decide.
            try await target.start(bench.instance(), by: claim)
            #expect(try await bench.state(target) == [.exited(code: 7, outOfMemory: false)])
            try await target.stop(instance: bench.instance().id, grace: .zero, by: claim)

            let greedy = ["sh", "-c", "x=0123456789abcdef; while true; do x=$x$x; done"]
            try await target.start(bench.instance(command: greedy, memory: 16 << 20), by: claim)
            // Not every Podman says why a container was killed.
            let isEnded = try await eventually(kind == .podman ? 20 : 60) {
                switch try await bench.state(target).first {
                case .exited(_, outOfMemory: true): true
                case .exited(let code, _): kind == .podman && code == 137
                default: false
                }
            }
            let state = try await bench.state(target)
            #expect(isEnded, "\(state)")
        }
    }

    @Test(arguments: TargetKind.allCases)
    func aCommandRunsInAnInstance(kind: TargetKind) async throws {
        try await TargetBench.with(kind) { bench in
            let target = bench.make()
            let claim = Claim(deployment: "d1", epoch: 1)
            let id = bench.instance().id
            try await target.admit(claim)
            await #expect(throws: (any Error).self) { try await target.run(["/bin/busybox", "true"], in: id, timeout: .seconds(10)) }
            try await target.start(bench.instance(), by: claim)
            func run(_ script: String, within seconds: Double = 20) async throws -> CommandEnd {
                try await target.run(["/bin/sh", "-c", script], in: id, timeout: .seconds(seconds))
            }
            #expect(try await run("exit 0") == CommandEnd(.exited(0)))
            #expect(try await run("echo out; echo one >&2; echo two >&2; exit 3") == CommandEnd(.exited(3), lastLine: "two"))
            // As the instance itself: environment, rights, files.
            let own = "echo A=$A B=$B C=$C $(/bin/busybox grep CapEff /proc/self/status) $(/bin/busybox hostname)"
            #expect(try await run(own).lastLine == "A=image B=service C=stage CapEff: 0000000000000400 \(id)")
            let isMissing: Bool
            do { isMissing = try await target.run(["/no/such"], in: id, timeout: .seconds(20)).status != .exited(0) } catch {
                isMissing = "\(error)".contains("/no/such")
            }
            #expect(isMissing)
            // Killed at its time, with what it has started.
            let began = ContinuousClock.now
            let end = try await run("echo waiting; /bin/busybox sleep 4321 & /bin/busybox sleep 4321", within: 5)
            #expect(end == CommandEnd(.timedOut, lastLine: "waiting"))
            #expect(ContinuousClock.now - began < .seconds(120))
            #expect(try await eventually { try await run("/bin/busybox ps").status == .exited(0) })
            let left = "! /bin/busybox ps | /bin/busybox grep '[s]leep 4321'"
            #expect(try await eventually { try await run(left).status == .exited(0) })
            #expect(try await bench.state(target) == [.running])
            try await target.stop(deployment: "d1", grace: .seconds(5), by: claim)
        }
    }

    @Test(arguments: TargetKind.allCases)
    func everyProbeFindsAnInstance(kind: TargetKind) async throws {
        try await TargetBench.with(kind) { bench in
            let target = bench.make()
            let claim = Claim(deployment: "d1", epoch: 1)
            try await target.admit(claim)
            var worker = bench.instance()
            worker.service.port = nil
            worker.service.health = HealthCheck(.tcp(port: 8080), timeout: 30)
            try await target.start(worker, by: claim)
            func problem(_ probe: HealthCheck.Probe, port: Int? = nil) async throws -> String? {
                var service = worker.service
                service.port = port
                service.health = HealthCheck(probe, timeout: 30)
                let seen = try await target.observe(deployment: "d1")
                return await Health(probe: testProbe, target: target).examine(seen, service: service, host: "").first?.problem
            }
            #expect(try await eventually { try await problem(.tcp(port: 8080)) == nil })
            #expect(try await problem(.tcp(port: 8081)) == "a connection to port 8081: connection refused")
            #expect(try await problem(.http(.init(body: "hello")), port: 8080) == nil)
            #expect(try await problem(.command(["/bin/busybox", "true"])) == nil)
            #expect(
                try await problem(.command(["/bin/sh", "-c", "echo no >&2; exit 4"]))
                    == "the command '/bin/sh -c echo no >&2; exit 4': expected exit code 0, got 4: no")
            #expect(try await problem(.none) == nil)
            try await target.stop(deployment: "d1", grace: .seconds(5), by: claim)
        }
    }

    @Test(arguments: TargetKind.allCases)
    func stoppingGivesTimeAndThenForces(kind: TargetKind) async throws {
        try await TargetBench.with(kind) { bench in
            let target = bench.make()
            let claim = Claim(deployment: "d1", epoch: 1)
            try await target.admit(claim)
            let stubborn = ["sh", "-c", "trap '' TERM; echo ready; while true; do /bin/busybox sleep 1; done"]
            try await target.start(bench.instance(command: stubborn), by: claim)
            #expect(try await eventually { try await target.logTail(instance: bench.instance().id, lines: 1) == ["ready"] })
            let started = ContinuousClock.now
            try await target.stop(instance: bench.instance().id, grace: .seconds(1), by: claim)
            #expect(ContinuousClock.now - started >= .seconds(1))
            #expect(try await target.observe(deployment: "d1").isEmpty)
        }
    }

    @Test(arguments: TargetKind.allCases)
    func whoWasTakenOverIsRefused(kind: TargetKind) async throws {
        try await TargetBench.with(kind) { bench in
            let old = bench.make()
            let new = bench.make()
            let (first, second) = (Claim(deployment: "d1", epoch: 1), Claim(deployment: "d1", epoch: 2))
            try await refuses { try await old.start(bench.instance(), by: first) }
            try await old.admit(first)
            try await old.start(bench.instance(), by: first)
            try await new.admit(second)
            try await new.admit(second)
            try await refuses { try await old.admit(first) }
            try await refuses { try await old.start(bench.instance(replica: 1), by: first) }
            try await refuses { try await old.stop(instance: bench.instance().id, grace: .zero, by: first) }
            try await refuses { try await old.stop(deployment: "d1", grace: .zero, by: first) }
            try await refuses { try await old.dismiss(deployment: "d1", by: first) }
            #expect(try await bench.state(new) == [.running])
            try await new.start(bench.instance(replica: 1), by: second)
            #expect(try await bench.state(new) == [.running, .running])
            // The deployment that takes its place ends it.
            let next = Claim(deployment: "d2", epoch: 1)
            try await new.admit(next)
            try await new.dismiss(deployment: "d1", by: next)
            try await new.dismiss(deployment: "d1", by: next)
            try await new.stop(deployment: "d1", grace: .seconds(2), by: next)
            try await refuses { try await old.start(bench.instance(), by: first) }
            try await refuses { try await new.start(bench.instance(), by: second) }
            #expect(try await new.deployments().isEmpty)
        }
    }

    /// Cut off anywhere, the same calls bring it about all the same.
    @Test(arguments: TargetKind.allCases)
    func whatWasCutOffIsRepeated(kind: TargetKind) async throws {
        try await TargetBench.with(kind) { bench in
            let claim = Claim(deployment: "d1", epoch: 1)
            try await bench.make().admit(claim)
            for milliseconds in [0, 1, 3, 10, 30, 60, 100, 200, 400] {
                let target = bench.make()
                try await cut(after: milliseconds) { try await target.start(bench.instance(), by: claim) }
                try await untilFree { try await bench.make().start(bench.instance(), by: claim) }
                #expect(try await bench.state(target) == [.running], "cut after \(milliseconds) ms")
                try await cut(after: milliseconds) { try await target.stop(deployment: "d1", grace: .seconds(5), by: claim) }
                try await untilFree { try await bench.make().stop(deployment: "d1", grace: .seconds(5), by: claim) }
                #expect(try await target.observe(deployment: "d1").isEmpty)
            }
        }
    }

    /// As the engine does it: what somebody is in the middle of is asked again.
    private func untilFree(_ body: () async throws -> Void) async throws {
        for _ in 0..<200 {
            do { return try await body() } catch let error as DeployerError where error.code == .busy {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
        try await body()
    }

    private func cut(after milliseconds: Int, _ body: @escaping @Sendable () async throws -> Void) async throws {
        await withTaskGroup(of: Void.self) { group in
            // How it ends is of no interest: that it may end anywhere is the point.
            group.addTask { do { try await body() } catch {} }
            group.addTask { try? await Task.sleep(for: .milliseconds(milliseconds)) }
            await group.next()
            group.cancelAll()
        }
    }

    private func refuses(_ body: () async throws -> Void) async throws {
        do {
            try await body()
            Issue.record("it was let do it")
        } catch let error as DeployerError {
            #expect(error.code == .staleHolder, "\(error)")
        }
    }
}
