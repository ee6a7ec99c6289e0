import DeliveryModel
import Logging
import Synchronization
import SystemPackage
import Testing

@testable import Deployer

/// Holders of a deployment that were taken over, and go on all the same.
struct ClaimTests {
    let target = FakeTarget()
    let router = FakeRouter()
    let probe = FakeProbe()
    let clock = JumpClock()

    var rollout: Rollout { Rollout(target: target, router: router, probe: probe, clock: clock) }

    func carryOut(_ order: RolloutOrder) async throws {
        try await rollout.admit(order.claim)
        var phase = RolloutPhase.queued
        while !phase.isTerminal { phase = try await rollout.advance(order, from: phase).next }
        #expect(phase == .succeeded)
    }

    @Test(arguments: [RolloutPhase.starting, .switching, .confirming, .draining, .retiring, .reverting])
    func anOldHolderNeitherChangesAnythingNorTurnsBack(phase: RolloutPhase) async throws {
        var old = order("two", previous: "one")
        try await carryOut(order("one"))
        try await rollout.admit(old.claim)
        for phase in [RolloutPhase.starting, .warming, .switching, .confirming] { _ = try await rollout.advance(old, from: phase) }
        old.epoch = 1
        var new = old
        new.epoch = 2
        try await rollout.admit(new.claim)
        try await router.fence(new.routeKey, by: new.fence)
        let before = (router.state.withLock { $0.generation }, target.state.withLock { $0.starts + $0.stops })
        do {
            _ = try await rollout.advance(old, from: phase)
            Issue.record("it was let do it")
        } catch let error as DeployerError {
            #expect(error.code == .staleHolder)
        }
        #expect(router.state.withLock { $0.generation } == before.0)
        #expect(target.state.withLock { $0.starts + $0.stops } == before.1)
    }

    @Test func whatWasReplacedIsNotStartedAgain() async throws {
        try await withTemporaryFolder { folder in
            let (one, two) = (order("one"), order("two", previous: "one"))
            try await carryOut(one)
            let declared = Mutex([one])
            let clock = clock
            let supervisor = Supervisor(
                target: target, router: router, probe: probe, stateFile: folder.appending("restarts.json"), clock: clock,
                now: { 1_000_000 + clock.seconds }, logger: Logger(label: "test"), declared: { declared.withLock { $0 } })
            // It slept since it was told of the first one, and has not heard of the second.
            try await carryOut(two)
            try await router.forget(deployment: "two")
            #expect(try await supervisor.tick().isEmpty)
            #expect(target.running("one") == 0)
            // It hears of it in the middle of its look.
            target.state.withLock { $0.epochs["one"] = nil }
            declared.withLock { $0 = [two] }
            #expect(try await supervisor.mend(one) == one.instances.map { .postponed(instance: $0.id, reason: "it is gone") })
            #expect(target.running("one") == 0)
        }
    }
}
