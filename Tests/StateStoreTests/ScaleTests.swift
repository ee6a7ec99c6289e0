import DeliveryModel
import OCIModel
import StateStore
import Testing

@Suite struct ScaleStoreTests {
    @Test(arguments: StoreKind.allCases) func aScaleIsKeptUnlessADeploymentIsUnderWay(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        let deployment = try await fixture.release(try await fixture.run(), digest: .sha256([1]))
        var scale = Scale(project: "gtin", pipeline: deployment.pipeline, stage: "dev", replicas: 3, reason: "31 requests in flight", at: 0)
        #expect(try await store.scales().isEmpty)
        #expect(try await store.save(scale))
        scale.replicas = 1
        #expect(try await store.save(scale))
        let kept = try await store.scales()
        #expect(kept.map(\.replicas) == [1] && kept[0].at > 0 && kept[0].reason == scale.reason)
        let events = try await store.events(project: "gtin", run: nil, deployment: nil, limit: 1)
        #expect(events.first?.message == "1 instance: 31 requests in flight")

        let claimed = try #require(try await store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        let begun = try await store.advanceDeployment(claimed.id, epoch: claimed.epoch, by: DeploymentChange(from: .queued, to: .preparing))
        #expect(begun)
        scale.replicas = 5
        #expect(try await store.save(scale) == false)
        scale.stage = "prod"
        #expect(try await store.save(scale))
        #expect(try await store.scales().map(\.replicas) == [1, 5])
        #expect(try await store.removeProject("gtin") == .busy)
    }
}
