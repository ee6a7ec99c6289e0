import DeliveryModel
import Synchronization
import Testing

@testable import Deployer

struct RolloutTests {
    let target = FakeTarget()
    let router = FakeRouter()
    let probe = FakeProbe()
    let clock = JumpClock()

    var rollout: Rollout { Rollout(target: target, router: router, probe: probe, clock: clock) }

    /// Advances to the end; every phase runs twice, as after a crash before its outcome was committed.
    func carryOut(_ order: RolloutOrder, twice: Bool = true) async throws -> [RolloutStep] {
        var steps: [RolloutStep] = []
        var phase = RolloutPhase.queued
        while !phase.isTerminal {
            if twice { _ = try await rollout.advance(order, from: phase) }
            let step = try await rollout.advance(order, from: phase)
            steps.append(step)
            phase = step.next
        }
        return steps
    }

    @Test(arguments: [false, true]) func succeeds(twice: Bool) async throws {
        let first = try await carryOut(order("one"), twice: twice)
        #expect(
            first.map(\.next) == [.starting, .warming, .switching, .confirming, .draining, .retiring, .succeeded])
        #expect(target.running("one") == 2)
        let steps = try await carryOut(order("two", previous: "one"), twice: twice)
        #expect(steps.last?.next == .succeeded)
        #expect(target.running("one") == 0)
        #expect(target.running("two") == 2)
        #expect(target.state.withLock { $0.starts.count } == 4)
        let route = try await router.currentRoute(key: "shop/web/prod")
        #expect(route?.deployment == "two")
        #expect(route?.upstreams.map(\.port) == [8080, 8080])
    }

    @Test func theOldOnesKeepServingWhenAnInstanceEnds() async throws {
        _ = try await carryOut(order("one"))
        let before = try await router.currentRoute(key: "shop/web/prod")
        let next = order("two", previous: "one")
        _ = try await rollout.advance(next, from: .starting)
        let id = next.instances[1].id
        target.end(id, code: 3)
        let step = try await rollout.advance(next, from: .warming)
        #expect(step.next == .reverting)
        #expect(step.message == "instance \(id) exited with code 3")
        #expect(step.lastLogLines == ["last words of \(id)"])
        #expect(try await rollout.advance(next, from: .reverting).next == .failed)
        #expect(try await router.currentRoute(key: "shop/web/prod") == before)
        #expect(target.running("one") == 2)
        #expect(try await target.observe(deployment: "two").isEmpty)
    }

    @Test func aHolderThatWasTakenOverCannotSwitch() async throws {
        _ = try await carryOut(order("one"))
        let before = try await router.currentRoute(key: "shop/web/prod")
        var stale = order("two", previous: "one")
        stale.number = 2
        stale.epoch = 1
        _ = try await rollout.advance(stale, from: .starting)
        // Another server takes over and gives up, without a word to the router about routes.
        var taker = stale
        taker.epoch = 2
        #expect(try await rollout.advance(taker, from: .reverting).next == .failed)
        for phase in [RolloutPhase.starting, .switching, .confirming, .draining, .reverting] {
            await #expect { try await rollout.advance(stale, from: phase) } throws: { ($0 as? DeployerError)?.code == .staleHolder }
        }
        #expect(try await router.currentRoute(key: "shop/web/prod") == before)
        #expect(target.running("two") == 0)
    }

    @Test func givesUpAfterTheGraceTime() async throws {
        let only = order("one", replicas: 1)
        probe.bad.withLock { $0 = ["10.0.0.1"] }
        _ = try await rollout.advance(only, from: .starting)
        let step = try await rollout.advance(only, from: .warming)
        #expect(step.next == .reverting)
        #expect(step.message.contains("within 20 s: /healthz answered 500"))
        #expect((20...22).contains(clock.seconds))
    }

    @Test func aRefusedStartReverts() async throws {
        target.state.withLock { $0.refuseStart = true }
        #expect(try await rollout.advance(order("one"), from: .starting).next == .reverting)
    }

    @Test func anUnconfirmedSwitchGoesBack() async throws {
        _ = try await carryOut(order("one"))
        let before = try await router.currentRoute(key: "shop/web/prod")
        let next = order("two", previous: "one")
        for phase in [RolloutPhase.starting, .warming, .switching] { _ = try await rollout.advance(next, from: phase) }
        #expect(try await router.currentRoute(key: "shop/web/prod")?.deployment == "two")
        router.state.withLock { $0.refuseConfirm = true }
        #expect(try await rollout.advance(next, from: .confirming).next == .reverting)
        #expect(try await rollout.advance(next, from: .reverting).next == .failed)
        #expect(try await router.currentRoute(key: "shop/web/prod") == before)
        #expect(target.running("one") == 2)
        #expect(target.running("two") == 0)
    }

    @Test func withNothingToGoBackToTheRouteIsRemoved() async throws {
        let first = order("one")
        for phase in [RolloutPhase.starting, .warming, .switching] { _ = try await rollout.advance(first, from: phase) }
        #expect(try await rollout.advance(first, from: .reverting).next == .failed)
        #expect(try await router.currentRoute(key: "shop/web/prod") == nil)
    }

    @Test func drainingEndsWithItsTime() async throws {
        _ = try await carryOut(order("one"))
        let next = order("two", previous: "one")
        for phase in [RolloutPhase.starting, .warming, .switching] { _ = try await rollout.advance(next, from: phase) }
        router.state.withLock { $0.neverDrains = true }
        let before = clock.seconds
        let step = try await rollout.advance(next, from: .draining)
        #expect(step.next == .retiring)
        #expect(step.message.contains("drain time over"))
        #expect((4...6).contains(clock.seconds - before))
        #expect(target.running("one") == 2)
    }

    @Test(arguments: RolloutPhase.allCases) func onlyLegalTransitions(phase: RolloutPhase) async throws {
        for event in RolloutEvent.allCases {
            do throws(DeployerError) {
                let next = try event.next(after: phase)
                #expect(phase.next.contains(next), "\(phase) \(event)")
            } catch {
                #expect(error.code == .illegalTransition)
            }
        }
        if phase.isTerminal || phase == .awaitingApproval {
            await #expect(throws: DeployerError.self) { try await rollout.advance(order("x"), from: phase) }
        }
    }

    @Test func aDeploymentCannotReplaceItself() async {
        await #expect(throws: DeployerError.self) {
            try await rollout.advance(order("one", previous: "one"), from: .queued)
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
