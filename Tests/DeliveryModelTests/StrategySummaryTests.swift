import DeliveryModel
import Testing

@Suite struct StrategySummaryTests {
    @Test(arguments: [
        (RolloutStrategy.blueGreen(.init()), "blue-green"),
        (.blueGreen(.init(preview: "next.localhost", pause: .manual)), "blue-green, preview at next.localhost, switch when somebody says so"),
        (.blueGreen(.init(pause: .seconds(90))), "blue-green, switch after 90 s"),
        (.rolling(.init(maxSurge: 2, maxUnavailable: 1, ready: 0.5)), "rolling, at most 2 more and 1 fewer, ready for 500 ms"),
        (
            .canary(
                .init(
                    weights: [5, 250, 500], hold: .seconds(60),
                    abortIf: AbortRules(errorRate: 0.01, p99: .times(1.5), p50: .plus(0.05), minimum: 20), pin: true)),
            """
            canary, 0.5 % → 25 % → 50 %, each for 60 s, back if failures > base + 1 % or p50 > base + 50 ms or p99 > base × 1.5 \
            after 20 requests, clients may choose
            """
        ),
        (.canary(.init(weights: [100], hold: .manual)), "canary, 10 %, each until somebody says so"),
    ])
    func saysAllOfIt(_ strategy: RolloutStrategy, _ text: String) {
        #expect(strategy.summary == text)
    }
}
