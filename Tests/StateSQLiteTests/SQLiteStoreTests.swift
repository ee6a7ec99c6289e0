import DeliveryModel
import Foundation
import OCIModel
import StateSQLite
import StateStore
import Synchronization
import SystemPackage
import Testing

/// A store in a temporary folder with a clock the test moves.
final class Fixture: Sendable {
    let folder: URL
    let store: SQLiteStore

    init() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("slipway-store-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        self.folder = folder
        let box = ClockBox()
        clock = box
        store = try SQLiteStore(file: FilePath(folder.path).appending("slipway.db")) { box.now }
    }

    let clock: ClockBox

    deinit { try? FileManager.default.removeItem(at: folder) }

    func project() async throws {
        try await store.add(Project(name: "gtin", url: "/srv/gtin.git", sealedSecret: Data([1]), createdAt: 0))
    }

    /// A claimed run of one delivery.
    func run(steps: [String] = ["test"]) async throws -> Run {
        try await project()
        let id = try await deliver("1")
        let new = NewRun(
            project: "gtin", pipeline: "main", trigger: "plain:1", event: "push", commit: String(repeating: "a", count: 40),
            branch: "main", author: "Ada", message: "first", commitTime: 1, plan: "{}", diagnostic: nil,
            steps: steps.map { NewStep(name: $0, image: "busybox", dependsOn: []) })
        let ids = try await store.finishDelivery(id, outcome: "runs: main", runs: [new])
        #expect(ids.count == 1)
        return try #require(try await store.claimRun(holder: "a", leaseSeconds: 10))
    }

    func deliver(_ forgeID: String) async throws -> Int64 {
        let outcome = try await store.accept(
            NewDelivery(project: "gtin", forge: "plain", forgeID: forgeID, headers: ["a": "b"], body: [1, 2], event: "push"))
        guard case .accepted(let id) = outcome else { throw CancellationError() }
        return id
    }

    /// A release with a deployment to dev.
    func release(_ run: Run, digest: Digest, approvals: Int = 0) async throws -> Deployment {
        let done = try await store.finishRun(
            run.id, epoch: run.epoch, state: .succeeded, error: nil,
            release: NewRelease(
                image: "shop/gtin", digest: digest, service: ServiceDefinition(port: 80), stages: "[]"),
            deployments: [
                NewDeployment(stage: "dev", kind: "automatic", requestedBy: "slipway", approvalsNeeded: approvals, expiresAfter: 60)
            ])
        #expect(done)
        let deployments = try await store.deployments(project: "gtin", limit: 1)
        return try #require(deployments.first)
    }
}

final class ClockBox: Sendable {
    private let time = Mutex(1000.0)
    var now: Double { time.withLock { $0 } }
    func advance(_ seconds: Double) { time.withLock { $0 += seconds } }
}

@Suite struct SQLiteStoreTests {
    private let digest = Digest.sha256([1])

    @Test func redeliveryIsTheSameDelivery() async throws {
        let fixture = try Fixture()
        try await fixture.project()
        let id = try await fixture.deliver("x")
        let again = try await fixture.store.accept(
            NewDelivery(project: "gtin", forge: "plain", forgeID: "x", headers: [:], body: [], event: "push"))
        #expect(again == .duplicate(id))
        let pending = try await fixture.store.claimDelivery(holder: "a", leaseSeconds: 10)
        #expect(pending?.id == id)
        #expect(pending?.body == Data([1, 2]))
        #expect(pending?.headers == ["a": "b"])
        #expect(try await fixture.store.claimDelivery(holder: "b", leaseSeconds: 10) == nil)
    }

    @Test func oneTriggerMakesOneRun() async throws {
        let fixture = try Fixture()
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

    @Test func aLeaseIsTakenOverOnlyAfterItExpired() async throws {
        let fixture = try Fixture()
        let first = try await fixture.run()
        #expect(try await fixture.store.claimRun(holder: "b", leaseSeconds: 10) == nil)
        fixture.clock.advance(9)
        #expect(try await fixture.store.renewRun(first.id, epoch: first.epoch, leaseSeconds: 10))
        fixture.clock.advance(9)
        #expect(try await fixture.store.claimRun(holder: "b", leaseSeconds: 10) == nil)
        fixture.clock.advance(2)
        let second = try #require(try await fixture.store.claimRun(holder: "b", leaseSeconds: 10))
        #expect(second.id == first.id)
        #expect(second.epoch == first.epoch + 1)
        // The old holder can do nothing any more.
        #expect(try await fixture.store.renewRun(first.id, epoch: first.epoch, leaseSeconds: 10) == false)
        #expect(try await fixture.store.setPhase(.build, ofRun: first.id, epoch: first.epoch) == false)
        #expect(
            try await fixture.store.setStep("test", ofRun: first.id, epoch: first.epoch, to: StepChange(.running)) == false)
        #expect(
            try await fixture.store.finishRun(
                first.id, epoch: first.epoch, state: .failed, error: nil, release: nil, deployments: []) == false)
    }

    @Test func aStepsEndIsFinal() async throws {
        let fixture = try Fixture()
        let run = try await fixture.run()
        #expect(try await fixture.store.setStep("test", ofRun: run.id, epoch: run.epoch, to: StepChange(.running)))
        #expect(try await fixture.store.setStep("test", ofRun: run.id, epoch: run.epoch, to: StepChange(.running)) == false)
        #expect(try await fixture.store.setStep("test", ofRun: run.id, epoch: run.epoch, to: StepChange(.succeeded, exitCode: 0)))
        #expect(try await fixture.store.setStep("test", ofRun: run.id, epoch: run.epoch, to: StepChange(.failed)) == false)
        #expect(try await fixture.store.steps(of: run.id).first?.state == .succeeded)
    }

    @Test func releasedLeasesAreClaimedAtOnce() async throws {
        let fixture = try Fixture()
        let run = try await fixture.run()
        try await fixture.store.releaseLeases(holder: "a", orderly: true)
        #expect(try await fixture.store.claimRun(holder: "b", leaseSeconds: 10)?.id == run.id)
    }

    @Test func aQueuedRunIsCancelledAtOnceARunningOneIsAsked() async throws {
        let fixture = try Fixture()
        let run = try await fixture.run()
        #expect(try await fixture.store.requestCancel(run: run.id, actor: "ada"))
        let asked = try #require(try await fixture.store.run(run.id))
        #expect(asked.state == .running)
        #expect(asked.cancelRequested)
    }

    @Test func approvalsCountToTheNumberAskedFor() async throws {
        let fixture = try Fixture()
        let deployment = try await fixture.release(try await fixture.run(), digest: digest, approvals: 2)
        #expect(deployment.phase == .awaitingApproval)
        #expect(try await fixture.store.claimDeployment(holder: "a", leaseSeconds: 10) == nil)
        #expect(
            try await fixture.store.decide(deployment: deployment.id, actor: "ada", approved: true, comment: "fine") == .approved(remaining: 1))
        #expect(try await fixture.store.decide(deployment: deployment.id, actor: "ada", approved: true, comment: nil) == .alreadyDecided)
        #expect(
            try await fixture.store.decide(deployment: deployment.id, actor: "bob", approved: true, comment: nil) == .approved(remaining: 0))
        #expect(
            try await fixture.store.decide(deployment: deployment.id, actor: "eve", approved: false, comment: nil) == .notWaiting(.queued))
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "a", leaseSeconds: 10))
        #expect(claimed.id == deployment.id)
        let approvals = try await fixture.store.approvals(of: deployment.id)
        #expect(approvals.map(\.actor) == ["ada", "bob"])
        #expect(approvals.map(\.comment) == ["fine", nil])
    }

    @Test func oneNoEndsIt() async throws {
        let fixture = try Fixture()
        let deployment = try await fixture.release(try await fixture.run(), digest: digest, approvals: 1)
        #expect(try await fixture.store.decide(deployment: deployment.id, actor: "ada", approved: false, comment: nil) == .rejected)
        #expect(try await fixture.store.deployment(deployment.id)?.phase == .rejected)
    }

    @Test func anApprovalThatNobodyGaveExpires() async throws {
        let fixture = try Fixture()
        let deployment = try await fixture.release(try await fixture.run(), digest: digest, approvals: 1)
        #expect(try await fixture.store.expireApprovals().isEmpty)
        fixture.clock.advance(61)
        #expect(try await fixture.store.expireApprovals() == [deployment.id])
    }

    @Test func aDeploymentMovesOnlyFromThePhaseItIsIn() async throws {
        let fixture = try Fixture()
        _ = try await fixture.release(try await fixture.run(), digest: digest)
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "a", leaseSeconds: 10))
        let store = fixture.store
        func move(_ from: RolloutPhase, _ to: RolloutPhase) async throws -> Bool {
            try await store.advanceDeployment(
                claimed.id, epoch: claimed.epoch, from: from, to: to, message: nil, logTail: nil, followers: [])
        }
        #expect(try await move(.starting, .warming) == false)
        #expect(try await move(.queued, .starting))
        #expect(try await store.activeDeployments().map(\.id) == [claimed.id])
        // A second deployment of the stage waits until the first is over.
        _ = try await store.createDeployment(
            NewDeployment(stage: "dev", kind: "promotion", requestedBy: "ada", approvalsNeeded: 0, expiresAfter: nil),
            of: claimed.release)
        #expect(try await store.claimDeployment(holder: "a", leaseSeconds: 10) == nil)
        #expect(try await move(.starting, .succeeded))
        #expect(try await store.liveDeployments(project: nil).map(\.id) == [claimed.id])
        let second = try #require(try await store.claimDeployment(holder: "a", leaseSeconds: 10))
        #expect(second.previous == claimed.id)
    }

    @Test func everythingIsThereAfterOpeningAgain() async throws {
        let fixture = try Fixture()
        let run = try await fixture.run()
        _ = try await fixture.release(run, digest: digest)
        let again = try SQLiteStore(file: FilePath(fixture.folder.path).appending("slipway.db")) { 0 }
        #expect(try await again.release(ofRun: run.id)?.digest == digest)
        #expect(try await again.run(run.id)?.state == .succeeded)
        #expect(try await again.events(project: "gtin", run: nil, deployment: nil, limit: 10).count >= 3)
    }

    @Test func secretsAreKeptAndRemoved() async throws {
        let fixture = try Fixture()
        try await fixture.project()
        try await fixture.store.setSecret("a", project: "gtin", sealed: [1])
        try await fixture.store.setSecret("a", project: "gtin", sealed: [2])
        #expect(try await fixture.store.secrets(project: "gtin") == ["a": [2]])
        #expect(try await fixture.store.removeSecret("a", project: "gtin"))
        #expect(try await fixture.store.removeSecret("a", project: "gtin") == false)
    }

    @Test func aProjectUnderWayIsNotRemoved() async throws {
        let fixture = try Fixture()
        let run = try await fixture.run()
        #expect(try await fixture.store.removeProject("gtin") == .busy)
        _ = try await fixture.store.finishRun(
            run.id, epoch: run.epoch, state: .failed, error: "x", release: nil, deployments: [])
        #expect(try await fixture.store.removeProject("gtin") == .removed)
        #expect(try await fixture.store.removeProject("gtin") == .unknown)
        #expect(try await fixture.store.runs(project: nil, limit: 10).isEmpty)
    }
}
