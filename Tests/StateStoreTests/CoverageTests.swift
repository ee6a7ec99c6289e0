import DeliveryModel
import Foundation
import OCIModel
import StateStore
import Testing

/// The methods that the other tests do not meet, and the corners of those they do.
@Suite struct CoverageTests {
    private let digest = Digest.sha256([7])

    @Test(arguments: StoreKind.allCases) func projectsAreKeptByName(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        for name in ["b", "a", "B"] { try await fixture.project(name) }
        #expect(try await fixture.store.projects().map(\.name) == ["B", "a", "b"])
        let one = try #require(try await fixture.store.project("a"))
        #expect(one == Project(name: "a", url: "/srv/a.git", sealedSecret: Data([1]), createdAt: 0))
        #expect(try await fixture.store.project("c") == nil)
        do {
            try await fixture.project("a")
            Issue.record("a second project of the same name was taken")
        } catch let error as StateError {
            #expect(error.code == .exists)
        }
        try await fixture.store.ping()
    }

    @Test(arguments: StoreKind.allCases) func aDeliveryIsKeptAsItCame(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        let body = (0..<70_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let new = NewDelivery(
            project: "gtin", forge: "github", forgeID: "ü'\"\\", headers: ["x-event": "push\u{0}", "y": "ä"], body: body, event: "push",
            branch: "feature/'; DROP TABLE run; --", tag: nil, commit: "c0ffee", before: nil)
        guard case .accepted(let id) = try await fixture.store.accept(new) else { throw CancellationError() }
        let kept = try #require(try await fixture.store.deliveries(project: "gtin", limit: 5).first)
        #expect(kept.id == id && kept.forgeID == new.forgeID && kept.headers == new.headers && kept.body == Data(body))
        #expect(kept.branch == new.branch && kept.tag == nil && kept.commit == "c0ffee" && kept.before == nil)
        #expect(kept.state == .received && kept.attempts == 0 && kept.outcome == nil)
        #expect(try await fixture.store.deliveries(project: "other", limit: 5).isEmpty)
    }

    @Test(arguments: StoreKind.allCases) func aDeliveryIsPutOffAndGivenUp(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        let id = try await fixture.deliver("x")
        try await fixture.store.postponeDelivery(id, reason: "no network", delay: 5_000, final: false)
        #expect(try await fixture.store.claimDelivery(holder: "a", leaseSeconds: 10_000) == nil)
        try await fixture.advance(6_000)
        let again = try #require(try await fixture.store.claimDelivery(holder: "a", leaseSeconds: 10_000))
        #expect(again.attempts == 1 && again.outcome == "no network")
        try await fixture.store.postponeDelivery(id, reason: "given up", delay: 0, final: true)
        #expect(try await fixture.store.claimDelivery(holder: "a", leaseSeconds: 10_000) == nil)
        #expect(try await fixture.store.deliveries(project: "gtin", limit: 1).first?.state == .failed)
        #expect(try await fixture.store.finishDelivery(id, outcome: "", runs: [Fixture.newRun("late")]).isEmpty)
    }

    @Test(arguments: StoreKind.allCases) func anInvalidPipelineIsARunThatIsOver(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        let id = try await fixture.deliver("x")
        let runs = try await fixture.store.finishDelivery(
            id, outcome: "", runs: [Fixture.newRun("one", steps: [], diagnostic: "line 3"), Fixture.newRun("two", steps: ["b", "a"])])
        try #require(runs.count == 2)
        let invalid = try #require(try await fixture.store.run(runs[0]))
        #expect(invalid.state == .invalid && invalid.error == "line 3" && invalid.finishedAt != nil)
        #expect(try await fixture.store.steps(of: runs[1]).map(\.name) == ["b", "a"])
        #expect(try await fixture.store.runs(project: nil, limit: 1).map(\.id) == [runs[1]])
        #expect(try await fixture.store.run(999) == nil)
        // Queued, and so cancelled at once, with its steps.
        #expect(try await fixture.store.requestCancel(run: runs[1], actor: "ada"))
        #expect(try await fixture.store.run(runs[1])?.state == .cancelled)
        #expect(try await fixture.store.steps(of: runs[1]).allSatisfy { $0.state == .cancelled })
        #expect(try await fixture.store.requestCancel(run: runs[1], actor: "ada") == false)
        #expect(try await fixture.store.claimRun(holder: "a", leaseSeconds: 1) == nil)
    }

    @Test(arguments: StoreKind.allCases) func aRunIsCarriedToItsRelease(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        let store = fixture.store
        #expect(run.state == .running && run.holder == "a" && run.epoch == 1 && run.phase == .checkout && run.startedAt != nil)
        #expect(try await store.advance(run, RunChange(phase: .build)))
        #expect(try await store.advance(run, RunChange(image: digest)))
        #expect(try await store.move("test", of: run, from: .waiting, to: .failed, exitCode: 3, message: "a\0b"))
        let step = try #require(try await store.steps(of: run.id).first)
        #expect(step.exitCode == 3 && step.finishedAt != nil && step.message?.hasPrefix("a") == true)
        let now = try #require(try await store.run(run.id))
        #expect(now.phase == .build && now.digest == digest)
        let deployment = try await fixture.release(run, digest: digest)
        let release = try #require(try await store.release(deployment.release))
        #expect(try await store.release(ofRun: run.id) == release)
        #expect(try await store.releases(project: "gtin", limit: 5) == [release])
        #expect(try await store.newestReleases(project: "gtin") == [release])
        #expect(try await store.newestReleases(project: "other").isEmpty)
        #expect(release.service == ServiceDefinition(port: 80) && release.commit == run.commit && release.digest == digest)
        #expect(try await store.deployments(ofRelease: release.id) == [deployment])
        #expect(try await store.deployment(deployment.id) == deployment)
        #expect(try await store.deployment(999) == nil)
        #expect(try await store.release(999) == nil)
        #expect(deployment.phase == .queued && deployment.digest == digest && deployment.expiresAt != nil)
        do {
            _ = try await store.createDeployment(
                NewDeployment(stage: "dev", kind: "promotion", requestedBy: "a", approvalsNeeded: 0, expiresAfter: nil), of: 999)
            Issue.record("a deployment of no release was made")
        } catch let error as StateError {
            #expect(error.code == .notFound)
        }
    }

    @Test(arguments: StoreKind.allCases) func followersComeWithTheEnd(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        _ = try await fixture.release(try await fixture.run(), digest: digest)
        let claimed = try #require(try await store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        let next = NewDeployment(stage: "prod", kind: "promotion", requestedBy: "slipway", approvalsNeeded: 1, expiresAfter: nil)
        #expect(try await store.renewDeployment(claimed.id, epoch: claimed.epoch, leaseSeconds: 10_000))
        #expect(
            try await store.advanceDeployment(
                claimed.id, epoch: claimed.epoch, by: DeploymentChange(from: .queued, to: .failed, message: "no", logTail: "tail", followers: [next]))
        )
        let over = try #require(try await store.deployment(claimed.id))
        #expect(over.phase == .failed && over.message == "no" && over.logTail == "tail" && over.finishedAt != nil)
        #expect(try await store.renewDeployment(claimed.id, epoch: claimed.epoch, leaseSeconds: 10_000) == false)
        let prod = try #require(try await store.deployments(project: "gtin", limit: 1).first)
        #expect(prod.stage == "prod" && prod.phase == .awaitingApproval && prod.expiresAt == nil)
        // A newer one takes the place of what has not begun.
        let newer = try await store.createDeployment(next, of: claimed.release)
        #expect(try await store.deployment(prod.id)?.phase == .superseded)
        #expect(try await store.decide(deployment: prod.id, actor: "ada", approved: true, comment: nil) == .notWaiting(.superseded))
        #expect(try await store.decide(deployment: 999, actor: "ada", approved: true, comment: nil) == .unknown)
        #expect(try await store.decide(deployment: newer, actor: "ada", approved: true, comment: nil) == .approved(remaining: 0))
        #expect(try await store.liveDeployments(project: "gtin").isEmpty)
    }

    @Test(arguments: StoreKind.allCases) func whatHappenedIsRecorded(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        try await fixture.store.record(project: "gtin", run: run.id, deployment: nil, actor: "ada", message: "a remark")
        try await fixture.store.record(project: "gtin", run: nil, deployment: 5, actor: "bob", message: "another")
        let all = try await fixture.store.events(project: "gtin", run: nil, deployment: nil, limit: 10)
        #expect(all.map(\.message) == ["another", "a remark", "push for main"])
        #expect(all.last?.state == "queued" && all.last?.run == run.id)
        #expect(try await fixture.store.events(project: nil, run: run.id, deployment: nil, limit: 1).map(\.message) == ["a remark"])
        #expect(try await fixture.store.events(project: nil, run: nil, deployment: 5, limit: 9).map(\.actor) == ["bob"])
        #expect(try await fixture.store.events(project: "other", run: nil, deployment: nil, limit: 9).isEmpty)
    }
}
