import StateStore
import Testing

/// Pushes nobody told of, and pushes that are told twice, as the store sees them.
@Suite struct ReconciliationTests {
    private let first = String(repeating: "1", count: 40)
    private let second = String(repeating: "2", count: 40)

    private func fixture(_ kind: StoreKind) async throws -> Fixture {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        return fixture
    }

    /// A push of `commit` through a door, with its run.
    private func push(_ commit: String, _ door: String, _ id: String, before: String? = nil, in fixture: Fixture) async throws -> [Int64] {
        var delivery = Fixture.delivery(id)
        delivery.forge = door
        (delivery.branch, delivery.commit, delivery.before) = ("main", commit, before)
        guard case .accepted(let number) = try await fixture.store.accept(delivery) else { return [] }
        var run = Fixture.newRun("\(door):\(id)")
        (run.commit, run.branch) = (commit, "main")
        return try await fixture.store.finishDelivery(number, outcome: "runs", runs: [run])
    }

    @Test(arguments: StoreKind.allCases) func onlyWhatMovedUnseenBecomesADelivery(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let store = fixture.store
        #expect(try await store.reconciliation(of: "gtin") == nil)
        // At first everything counts as seen.
        #expect(try await store.reconcile(project: "gtin", heads: ["main": first, "old": first], after: 0).isEmpty)
        #expect(try await store.reconcile(project: "gtin", heads: ["main": first, "old": first], after: 0).isEmpty)
        let found = try await store.reconcile(project: "gtin", heads: ["main": second, "old": first], after: 0)
        #expect(found.count == 1)
        let delivery = try #require(try await store.claimDelivery(holder: "a", leaseSeconds: 10_000))
        #expect(delivery.id == found[0] && delivery.forge == "reconcile" && delivery.branch == "main")
        #expect(delivery.commit == second && delivery.before == first)
        // Back and forth: each move has an id of its own.
        #expect(try await store.reconcile(project: "gtin", heads: ["main": first], after: found[0]).count == 1)
        #expect(try await store.reconcile(project: "nobody", heads: ["main": first], after: 0).isEmpty)
    }

    @Test(arguments: StoreKind.allCases) func whatAWebhookToldIsKnown(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let store = fixture.store
        _ = try await store.reconcile(project: "gtin", heads: ["main": first], after: 0)
        #expect(try await push(second, "plain", "1", before: first, in: fixture).count == 1)
        #expect(try await store.reconcile(project: "gtin", heads: ["main": second], after: 0).isEmpty)
        // A look that began before a younger webhook leaves the branch alone.
        #expect(try await store.reconcile(project: "gtin", heads: ["main": first], after: 0).isEmpty)
    }

    @Test(arguments: StoreKind.allCases) func onePushThroughTwoDoorsIsOneRun(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        #expect(try await push(first, "github", "1", in: fixture).count == 1)
        #expect(try await push(first, "gitea", "2", in: fixture).isEmpty)
        #expect(try await fixture.store.deliveries(project: "gtin", limit: 1).first?.outcome?.contains("no second run of this push") == true)
        // The same door again is another push.
        #expect(try await push(first, "github", "3", in: fixture).count == 1)
        #expect(try await push(second, "gitea", "4", before: first, in: fixture).count == 1)
    }

    @Test(arguments: StoreKind.allCases) func doorsThatOpenAtOnceMakeOneRun(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let runs = try await withThrowingTaskGroup(of: Int.self) { group in
            for door in ["github", "gitea", "plain", "reconcile"] {
                group.addTask { try await push(first, door, "x", in: fixture).count }
            }
            return try await group.reduce(0, +)
        }
        #expect(runs == 1)
    }

    @Test(arguments: StoreKind.allCases) func aFailureIsSaidOnceAndForgottenAfterASuccess(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let store = fixture.store
        #expect(try await store.reconcileFailed(project: "gtin", problem: "no route"))
        #expect(try await store.reconcileFailed(project: "gtin", problem: "no route") == false)
        #expect(try await store.reconciliation(of: "gtin")?.problem == "no route")
        #expect(try await store.reconcile(project: "gtin", heads: ["main": first], after: 0).isEmpty)
        let well = try #require(try await store.reconciliation(of: "gtin"))
        #expect(well.problem == nil && well.at != nil)
        #expect(try await store.reconcileFailed(project: "nobody", problem: "x") == false)
    }
}
