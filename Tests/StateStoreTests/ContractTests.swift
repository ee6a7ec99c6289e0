import DeliveryModel
import Foundation
import OCIModel
import StateStore
import Testing

/// What both stores promise.
@Suite struct ContractTests {
    private let digest = Digest.sha256([1])

    @Test(arguments: StoreKind.allCases) func redeliveryIsTheSameDelivery(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        let id = try await fixture.deliver("x")
        let again = try await fixture.store.accept(
            NewDelivery(project: "gtin", forge: "plain", forgeID: "x", headers: [:], body: [], event: "push"))
        #expect(again == .duplicate(id))
        let pending = try await fixture.store.claimDelivery(holder: "a", leaseSeconds: 10_000)
        #expect(pending?.id == id)
        #expect(pending?.body == Data([1, 2]))
        #expect(pending?.headers == ["a": "b"])
        #expect(try await fixture.store.claimDelivery(holder: "b", leaseSeconds: 10_000) == nil)
    }

    @Test(arguments: StoreKind.allCases) func oneTriggerMakesOneRun(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        let id = try await fixture.deliver("2")
        let same = NewRun(
            project: run.project, pipeline: run.pipeline, trigger: run.trigger, event: "push", commit: run.commit,
            branch: nil, author: "", message: "", commitTime: 0, plan: nil, diagnostic: nil, steps: [])
        let created = try await fixture.store.finishDelivery(id, outcome: "", runs: [same])
        #expect(created.isEmpty)
        let runs = try await fixture.store.runs(project: "gtin", limit: 10)
        #expect(runs.count == 1)
    }

    @Test(arguments: StoreKind.allCases) func aLeaseIsTakenOverOnlyAfterItExpired(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let first = try await fixture.run()
        #expect(try await fixture.store.claimRun(holder: "b", leaseSeconds: 10_000) == nil)
        try await fixture.advance(9_000)
        #expect(try await fixture.store.renewRun(first.id, epoch: first.epoch, leaseSeconds: 10_000))
        try await fixture.advance(9_000)
        #expect(try await fixture.store.claimRun(holder: "b", leaseSeconds: 10_000) == nil)
        try await fixture.advance(2_000)
        let second = try #require(try await fixture.store.claimRun(holder: "b", leaseSeconds: 10_000))
        #expect(second.id == first.id)
        #expect(second.epoch == first.epoch + 1)
        // The old holder can do nothing any more.
        #expect(try await fixture.store.renewRun(first.id, epoch: first.epoch, leaseSeconds: 10_000) == false)
        #expect(try await fixture.store.advance(first, RunChange(phase: .build)) == false)
        #expect(
            try await fixture.store.move("test", of: first, from: .waiting, to: .running) == false)
        #expect(
            try await fixture.store.advance(first, RunChange(end: RunEnd(.failed))) == false)
    }

    @Test(arguments: StoreKind.allCases) func aStepsEndIsFinal(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        #expect(try await fixture.store.move("test", of: run, from: .waiting, to: .running))
        #expect(try await fixture.store.move("test", of: run, from: .waiting, to: .running) == false)
        #expect(try await fixture.store.move("test", of: run, from: .running, to: .succeeded, exitCode: 0))
        #expect(try await fixture.store.move("test", of: run, from: .running, to: .failed) == false)
        #expect(try await fixture.store.steps(of: run.id).first?.state == .succeeded)
    }

    @Test(arguments: StoreKind.allCases) func releasedLeasesAreClaimedAtOnce(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        try await fixture.store.releaseLeases(holder: "a", orderly: true)
        #expect(try await fixture.store.claimRun(holder: "b", leaseSeconds: 10_000)?.id == run.id)
    }

    @Test(arguments: StoreKind.allCases) func aQueuedRunIsCancelledAtOnceARunningOneIsAsked(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        #expect(try await fixture.store.requestCancel(run: run.id, actor: "ada"))
        let asked = try #require(try await fixture.store.run(run.id))
        #expect(asked.state == .running)
        #expect(asked.cancelRequested)
    }

    @Test(arguments: StoreKind.allCases) func approvalsCountToTheNumberAskedFor(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let deployment = try await fixture.release(try await fixture.run(), digest: digest, approvals: 2)
        #expect(deployment.phase == .awaitingApproval)
        #expect(try await fixture.store.claimDeployment(holder: "a", leaseSeconds: 10_000) == nil)
        #expect(
            try await fixture.store.decide(deployment: deployment.id, actor: "ada", approved: true, comment: "fine") == .approved(remaining: 1))
        #expect(
            try await fixture.store.decide(deployment: deployment.id, actor: "ada", approved: true, comment: nil) == .refused(.decidedAlready("ada")))
        #expect(
            try await fixture.store.decide(deployment: deployment.id, actor: "bob", approved: true, comment: nil) == .approved(remaining: 0))
        #expect(
            try await fixture.store.decide(deployment: deployment.id, actor: "eve", approved: false, comment: nil) == .notWaiting(.queued))
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        #expect(claimed.id == deployment.id)
        let approvals = try await fixture.store.approvals(of: deployment.id)
        #expect(approvals.map(\.actor) == ["ada", "bob"])
        #expect(approvals.map(\.comment) == ["fine", nil])
    }

    @Test(arguments: StoreKind.allCases) func oneNoEndsIt(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let deployment = try await fixture.release(try await fixture.run(), digest: digest, approvals: 1)
        #expect(try await fixture.store.decide(deployment: deployment.id, actor: "ada", approved: false, comment: nil) == .rejected)
        #expect(try await fixture.store.deployment(deployment.id)?.phase == .rejected)
    }

    @Test(arguments: StoreKind.allCases) func anApprovalThatNobodyGaveExpires(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let deployment = try await fixture.release(try await fixture.run(), digest: digest, approvals: 1)
        #expect(try await fixture.store.expireApprovals().isEmpty)
        try await fixture.advance(61_000)
        #expect(try await fixture.store.expireApprovals() == [deployment.id])
    }

    @Test(arguments: StoreKind.allCases) func aDeploymentMovesOnlyFromThePhaseItIsIn(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        _ = try await fixture.release(try await fixture.run(), digest: digest)
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        let store = fixture.store
        func move(_ from: RolloutPhase, _ to: RolloutPhase) async throws -> Bool {
            try await store.advanceDeployment(
                claimed.id, epoch: claimed.epoch, by: DeploymentChange(from: from, to: to, message: nil, logTail: nil, followers: []))
        }
        #expect(try await move(.starting, .warming) == false)
        #expect(try await move(.queued, .preparing))
        #expect(try await store.activeDeployments().map(\.id) == [claimed.id])
        // A second deployment of the stage waits until the first is over.
        _ = try await store.createDeployment(
            NewDeployment(stage: "dev", kind: "promotion", requestedBy: "ada", approvalsNeeded: 0, expiresAfter: nil),
            of: claimed.release)
        #expect(try await store.claimDeployment(holder: "a", leaseSeconds: 10_000) == nil)
        #expect(try await move(.preparing, .succeeded))
        #expect(try await store.liveDeployments(project: nil).map(\.id) == [claimed.id])
        let second = try #require(try await store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        #expect(second.previous == claimed.id)
    }

    @Test(arguments: StoreKind.allCases) func everythingIsThereAfterOpeningAgain(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        _ = try await fixture.release(run, digest: digest)
        let again = try await fixture.reopened()
        #expect(try await again.release(ofRun: run.id)?.digest == digest)
        #expect(try await again.run(run.id)?.state == .succeeded)
        #expect(try await again.events(project: "gtin", run: nil, deployment: nil, limit: 10).count >= 3)
    }

    @Test(arguments: StoreKind.allCases) func secretsAreKeptAndRemoved(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        try await fixture.store.setSecret("a", project: "gtin", sealed: [1])
        try await fixture.store.setSecret("a", project: "gtin", sealed: [2])
        #expect(try await fixture.store.secrets(project: "gtin") == ["a": [2]])
        #expect(try await fixture.store.removeSecret("a", project: "gtin"))
        #expect(try await fixture.store.removeSecret("a", project: "gtin") == false)
    }

    @Test(arguments: StoreKind.allCases) func aProjectUnderWayIsNotRemoved(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        #expect(try await fixture.store.removeProject("gtin") == .busy)
        _ = try await fixture.store.advance(run, RunChange(end: RunEnd(.failed, error: "x")))
        #expect(try await fixture.store.removeProject("gtin") == .removed)
        #expect(try await fixture.store.removeProject("gtin") == .unknown)
        #expect(try await fixture.store.runs(project: nil, limit: 10).isEmpty)
    }
}
