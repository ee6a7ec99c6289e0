import DeliveryModel
import Logging
import Synchronization
import Testing

@testable import Deployer

struct ScalingTests {
    private let target = FakeTarget()
    private let router = FakeRouter()
    private let clock = JumpClock()
    private let saved = Saved()

    private final class Saved: Sendable {
        let scales = Mutex<[Scale]>([])
        let isMoving = Mutex(false)
    }

    private func live(_ replicas: Int, _ rule: AutoscaleRule) -> RolloutOrder {
        var order = order("one", replicas: replicas)
        order.autoscale = rule
        order.service.limits.cpus = 0.5
        return order
    }

    private func scaling(_ order: RolloutOrder) -> Scaling {
        let (clock, saved) = (clock, saved)
        return Scaling(
            targets: ["local": target], router: router, clock: clock, now: { 1_000_000 + clock.seconds }, logger: Logger(label: "test"),
            declared: { [order] },
            save: { scale in
                if saved.isMoving.withLock({ $0 }) { return false }
                saved.scales.withLock { $0.append(scale) }
                return true
            })
    }

    private func answered(_ requests: Int, seconds: Double) {
        var traffic = VersionTraffic(deployment: "one", requests: requests)
        traffic.latency.add(seconds: seconds, times: requests)
        router.state.withLock { [traffic] state in state.traffic = { [traffic] } }
    }

    @Test func requestsInFlightAreThoseASecondTimesTheSecondsOfEach() async throws {
        let scaling = scaling(live(2, AutoscaleRule(min: 1, max: 6, requests: 5)))
        #expect(try await scaling.tick().isEmpty)
        // 100 in 5 s, of 1 s each: 20 in flight.
        answered(100, seconds: 1)
        try await clock.sleep(for: .seconds(5))
        let scale = try #require(try await scaling.tick().first)
        #expect((4...5).contains(scale.replicas) && scale.stage == "prod" && scale.project == "shop" && scale.pipeline == "web")
        #expect(scale.reason.hasSuffix("requests in flight, 5 for each instance"))
        #expect(saved.scales.withLock { $0.count } == 1)
    }

    @Test func processorsCountAsPartOfWhatMayBeUsed() async throws {
        let scaling = scaling(live(2, AutoscaleRule(min: 1, max: 6, cpu: 0.5)))
        target.state.withLock { $0.processorSeconds = ["a": 10, "b": 10] }
        #expect(try await scaling.tick().isEmpty)
        // 2 s and 3 s of 5 s, where each may use half a processor: all of it. The third has just begun.
        target.state.withLock { $0.processorSeconds = ["a": 12, "b": 13, "c": 90] }
        try await clock.sleep(for: .seconds(5))
        let scale = try #require(try await scaling.tick().first)
        #expect(scale.replicas == 4 && scale.reason == "100 % of the processors in use, 50 % wanted")
    }

    @Test func nothingIsDecidedDuringADeployment() async throws {
        let scaling = scaling(live(2, AutoscaleRule(min: 1, max: 6, requests: 5)))
        saved.isMoving.withLock { $0 = true }
        try await scaling.tick()
        answered(100, seconds: 1)
        try await clock.sleep(for: .seconds(5))
        #expect(try await scaling.tick().isEmpty)
    }
}
