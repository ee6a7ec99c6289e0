import DeliveryModel
import OCIModel
import StateStore
import Testing

@Suite struct TrainStoreTests {
    private func queued(_ fixture: Fixture, _ pipeline: String) async throws -> Deployment {
        var new = Fixture.newRun("plain:\(pipeline)")
        new.pipeline = pipeline
        guard case .created = try await fixture.store.createRun(new, actor: "ada") else { throw CancellationError() }
        let run = try #require(try await fixture.store.claimRun(holder: "a", leaseSeconds: 10_000))
        return try await fixture.release(run, digest: .sha256(Array(pipeline.utf8)))
    }

    @Test(arguments: StoreKind.allCases) func aTrainIsMadeOnceAndDecidedOnce(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        try await fixture.project()
        let (api, web) = (try await queued(fixture, "api"), try await queued(fixture, "web"))
        #expect(try await store.formTrain("shop", of: [api.id, 999]) == nil)
        let held = try #require(try await store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        #expect(try await store.hold(held, until: try await store.time() + 5000, reason: "waits for web", isFreeze: false))
        let servers = try await fixture.servers(2)
        let made = try await withThrowingTaskGroup(of: Int64?.self) { group in
            for server in servers { group.addTask { try await server.formTrain("shop", of: [web.id, api.id]) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let id = try #require(made.compactMap { $0 }.first)
        #expect(made.count { $0 == nil } == 1)
        #expect(try await store.deployments(ofTrain: id).map(\.id) == [api.id, web.id])
        // Whoever was held for it goes on at once, and cannot be held any more.
        let first = try #require(try await store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        #expect(first.id == held.id && first.train == id && first.heldFor == nil)
        #expect(try await store.hold(first, until: 0, reason: "x", isFreeze: false) == false)

        let train = try #require(try await store.train(id))
        #expect(train.name == "shop" && train.stage == api.stage && train.state == .open && train.project == "gtin")
        #expect(try await store.settleTrain(id, .aborted, reason: "web: it exits")?.state == .aborted)
        let late = try #require(try await store.settleTrain(id, .committed, reason: nil))
        #expect(late.state == .aborted && late.reason == "web: it exits")
        #expect(try await store.settleTrain(999, .committed, reason: nil) == nil)
    }

    /// Two deployments of a stage must not begin side by side: what is in a train comes first.
    @Test(arguments: StoreKind.allCases) func whatIsInATrainDoesNotGiveWay(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        try await fixture.project()
        let (api, web) = (try await queued(fixture, "api"), try await queued(fixture, "web"))
        _ = try #require(try await store.formTrain("shop", of: [api.id, web.id]))
        let newer = try await store.createDeployment(
            NewDeployment(stage: api.stage, kind: "promotion", requestedBy: "eve", approvalsNeeded: 0, expiresAfter: nil), of: api.release)
        #expect(try await store.deployment(api.id)?.phase == .queued)
        var claimed: [Int64] = []
        while let next = try await store.claimDeployment(holder: "a", leaseSeconds: 10_000) { claimed.append(next.id) }
        #expect(claimed == [api.id, web.id])
        #expect(try await store.requestCancel(deployment: api.id, actor: "eve", reason: "no"))
        #expect(try await store.deployment(newer)?.phase == .queued)
    }

    @Test(arguments: StoreKind.allCases) func aTrainOfNewDeploymentsIsAllOrNothing(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        try await fixture.project()
        let (api, web) = (try await queued(fixture, "api"), try await queued(fixture, "web"))
        func back(_ approvals: Int = 0) -> NewDeployment {
            NewDeployment(stage: api.stage, kind: "rollback", requestedBy: "eve", approvalsNeeded: approvals, expiresAfter: nil)
        }
        await #expect(throws: (any Error).self) { try await store.createTrain("shop", [(back(), api.release), (back(), 999)]) }
        await #expect(throws: StateError.self) { try await store.createTrain("shop", [(back(), api.release), (back(1), web.release)]) }
        #expect(try await store.deployments(project: "gtin", limit: 10).count == 2)
        let ids = try await store.createTrain("shop", [(back(), web.release), (back(), api.release)])
        let made = try await store.deployments(project: "gtin", limit: 2)
        #expect(Set(made.map(\.id)) == Set(ids) && made.allSatisfy { $0.train != nil && $0.kind == "rollback" && $0.phase == .queued })
        #expect(try await store.deployment(ids[0])?.pipeline == "web")
    }

    @Test(arguments: StoreKind.allCases) func theRunsOfACommit(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        for (trigger, pipeline, event) in [("1", "web", "push"), ("2", "web", "manual"), ("3", "api", "push"), ("4", "api", "pull_request")] {
            var new = Fixture.newRun("plain:\(trigger)")
            (new.pipeline, new.event) = (pipeline, event)
            _ = try await fixture.store.createRun(new, actor: "ada")
        }
        let commit = Fixture.newRun("x").commit
        let runs = try await fixture.store.runs(project: "gtin", commit: commit)
        #expect(runs.map(\.pipeline) == ["api", "web"] && runs.map(\.trigger) == ["plain:3", "plain:2"])
        #expect(try await fixture.store.runs(project: "gtin", commit: "b").isEmpty)
    }
}
