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

    var rollout: Rollout {
        let clock = clock
        return Rollout(targets: ["local": target], router: router, probe: probe, clock: clock, now: { clock.seconds })
    }

    func carryOut(_ order: RolloutOrder, previous: RolloutOrder? = nil) async throws {
        try await rollout.admit(order.claim, on: ["local"])
        var progress = RolloutProgress.begun(order, previous: previous)
        while !progress.phase.isTerminal { _ = try await rollout.step(&progress, order, previous: previous) }
        #expect(progress.phase == .succeeded)
    }

    private static let shape = RolloutShape(started: 2, kept: 0, share: 1000)

    @Test(arguments: [RolloutTask.start(instances: 2), .route(shape), .confirm(shape), .drain(shape), .retire(kept: 0), .revert])
    func anOldHolderNeitherChangesAnythingNorTurnsBack(task: RolloutTask) async throws {
        let one = order("one")
        var old = order("two", previous: "one")
        try await carryOut(one)
        try await rollout.admit(old.claim, on: ["local"])
        var progress = RolloutProgress.begun(old, previous: one)
        while progress.phase != .draining { _ = try await rollout.step(&progress, old, previous: one) }
        old.epoch = 1
        var new = old
        new.epoch = 2
        try await rollout.admit(new.claim, on: ["local"])
        try await router.fence(new.routeKey, by: new.fence)
        let before = (router.state.withLock { $0.generation }, target.state.withLock { $0.starts + $0.stops })
        do {
            _ = try await rollout.perform(task, RolloutJob(order: old, previous: one))
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
                targets: ["local": target], router: router, probe: probe, stateFile: folder.appending("restarts.json"), clock: clock,
                now: { 1_000_000 + clock.seconds }, logger: Logger(label: "test"), declared: { declared.withLock { $0 } })
            // It slept since it was told of the first one, and has not heard of the second.
            try await carryOut(two, previous: one)
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
