import DeliveryModel
import Testing

@Suite struct AutoscalerTests {
    private let rule = AutoscaleRule(min: 1, max: 8, requests: 10, cpu: 0.5, cooldown: 60)

    @Test func moreComeAtOnce() {
        var scaler = Autoscaler()
        let up = scaler.look(ServiceLoad(requests: 31), replicas: 2, rule, at: 0)
        #expect(up?.replicas == 4 && up?.reason == "31 requests in flight, 10 for each instance")
        // The larger wish counts, and never more than may be.
        let busy = scaler.look(ServiceLoad(requests: 1, cpu: 0.9), replicas: 4, rule, at: 1)
        #expect(busy?.replicas == 8 && busy?.reason == "90 % of the processors in use, 50 % wanted")
        #expect(scaler.look(ServiceLoad(requests: 500), replicas: 8, rule, at: 2) == nil)
    }

    @Test func aTenthIsLetBe() {
        var scaler = Autoscaler()
        for second in 0..<200 {
            #expect(scaler.look(ServiceLoad(requests: second % 2 == 0 ? 21.5 : 18.5), replicas: 2, rule, at: Double(second)) == nil)
        }
    }

    @Test func fewerOnlyWhenTheyWereEnoughForTheWholeCooldown() {
        var scaler = Autoscaler()
        for second in stride(from: 0.0, to: 60, by: 5) {
            #expect(scaler.look(ServiceLoad(requests: 5), replicas: 4, rule, at: second) == nil)
        }
        // One busy moment, and the time begins anew for what it wanted.
        #expect(scaler.look(ServiceLoad(requests: 28), replicas: 4, rule, at: 60)?.replicas == 3)
        var again = Autoscaler()
        var down: (at: Double, replicas: Int)?
        for second in stride(from: 0.0, to: 200, by: 5) where down == nil {
            let requests = second == 30 ? 40.0 : 5
            if let some = again.look(ServiceLoad(requests: requests), replicas: 4, rule, at: second) { down = (second, some.replicas) }
        }
        #expect(down?.at == 95 && down?.replicas == 1)
    }

    @Test func whoeverKnowsNothingChangesNothing() {
        var scaler = Autoscaler()
        for second in stride(from: 0.0, to: 300, by: 5) { #expect(scaler.look(ServiceLoad(), replicas: 4, rule, at: second) == nil) }
    }

    @Test func theBoundsAreKept() {
        var scaler = Autoscaler()
        let strict = AutoscaleRule(min: 3, max: 5, requests: 10)
        #expect(scaler.look(ServiceLoad(requests: 0), replicas: 9, strict, at: 0)?.replicas == 5)
        #expect(scaler.look(ServiceLoad(requests: 0), replicas: 1, strict, at: 1)?.replicas == 3)
        for second in stride(from: 2.0, to: 100, by: 5) { #expect(scaler.look(ServiceLoad(requests: 0), replicas: 3, strict, at: second) == nil) }
    }
}
