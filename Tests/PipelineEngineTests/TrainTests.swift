import DeliveryModel
import Foundation
import OCIModel
import PipelineFile
import StateSQLite
import StateStore
import Testing

@testable import PipelineEngine

/// How deployments come together: the engine over a real store, with a clock the test moves.
@Suite struct TrainTests {
    private static let service = ServiceDefinition(port: 80)

    /// A run of a pipeline that goes in the train.
    private func queue(
        _ fixture: EngineFixture, _ pipeline: String, commit: Character = "a", requires: [String]? = nil, train: String? = "shop",
        approvals: Int = 0
    ) async throws {
        let stages = [
            StagePlan(name: "dev", approval: approvals > 0 ? ApprovalRule(count: approvals) : nil, train: train, requires: requires)
        ]
        let plan = PipelinePlan(name: pipeline, service: Self.service, stages: stages)
        let created = try await fixture.store.createRun(
            NewRun(
                project: "gtin", pipeline: pipeline, trigger: "plain:\(UUID().uuidString)", event: "push",
                commit: String(repeating: commit, count: 40), branch: "main", author: "Ada", message: "Sell boats", commitTime: 1,
                plan: String(decoding: try OCIJSON.encode(plan), as: UTF8.self), diagnostic: nil, steps: []), actor: "ada")
        guard case .created = created else { throw CancellationError() }
    }

    /// Ends the oldest run, with a release when it ends well.
    private func finish(_ fixture: EngineFixture, _ state: RunState = .succeeded) async throws {
        let run = try #require(try await fixture.store.claimRun(holder: "test", leaseSeconds: 10))
        let stages = try OCIJSON.decode(PipelinePlan.self, from: Array(try #require(run.plan).utf8)).stages
        let new = NewRelease(
            image: "shop/\(run.pipeline)", digest: .sha256(Array("\(run.pipeline)\(run.id)".utf8)), service: Self.service,
            stages: String(decoding: try OCIJSON.encode(stages), as: UTF8.self),
            deployments: try stages.map { try fixture.engine.newDeployment(to: $0, of: Self.service, kind: "automatic", by: "slipway") })
        let ended = try await fixture.store.advanceRun(
            run.id, epoch: run.epoch, by: RunChange(end: RunEnd(state)), release: state == .succeeded ? new : nil)
        #expect(ended)
    }

    private func push(
        _ fixture: EngineFixture, _ pipeline: String, commit: Character = "a", requires: [String]? = nil, train: String? = "shop",
        approvals: Int = 0
    ) async throws {
        try await queue(fixture, pipeline, commit: commit, requires: requires, train: train, approvals: approvals)
        try await finish(fixture)
    }

    /// Claims what is due, and asks of each whether it may begin. Returns the pipelines that may.
    private func begin(_ fixture: EngineFixture) async throws -> Set<String> {
        var may: Set<String> = []
        while let claimed = try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10) {
            if try await fixture.engine.mayBegin(claimed) { may.insert(claimed.pipeline) }
        }
        return may
    }

    private func newest(_ fixture: EngineFixture, _ pipeline: String) async throws -> Deployment {
        try #require(try await fixture.store.deployments(project: "gtin", limit: 50).first { $0.pipeline == pipeline })
    }

    private func end(_ fixture: EngineFixture, _ pipeline: String, _ phase: RolloutPhase = .succeeded) async throws {
        let row = try await newest(fixture, pipeline)
        let rollout = String(decoding: try OCIJSON.encode(RolloutProgress(phase: phase)), as: UTF8.self)
        let moved = try await fixture.store.advanceDeployment(
            row.id, epoch: row.epoch, by: DeploymentChange(from: row.phase, to: phase, rollout: rollout))
        #expect(moved)
    }

    @Test func theLastToComeStartsTheTrain() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        try await push(fixture, "web", requires: ["api"])
        try await queue(fixture, "api")
        #expect(try await begin(fixture).isEmpty)
        let held = try await newest(fixture, "web")
        #expect(held.heldFor == "waits for api of the train 'shop': its run 2 is queued" && held.startedAt == nil)
        let facts = try await fixture.engine.overview(project: "gtin")
        let web = try #require(facts.first { $0.pipeline == "web" })
        #expect(try await fixture.engine.facts(of: web, project: "gtin").why.contains("waits for api of the train 'shop'"))
        // Its run ends: both go, the one that was held at once.
        try await finish(fixture)
        #expect(try await begin(fixture) == ["web", "api"])
        #expect(try await newest(fixture, "web").train != nil)
        #expect(try await newest(fixture, "web").train == (try await newest(fixture, "api").train))
    }

    @Test func whatWasRefusedIsWaitedFor() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        try await push(fixture, "web")
        try await queue(fixture, "api")
        try await finish(fixture, .failed)
        #expect(try await begin(fixture).isEmpty)
        #expect(try await newest(fixture, "web").heldFor == "waits for api of the train 'shop': its run 2 is failed")
        try await push(fixture, "api", approvals: 1)
        fixture.advance(61)
        #expect(try await begin(fixture).isEmpty)
        let asked = try await newest(fixture, "api")
        #expect(try await newest(fixture, "web").heldFor == "waits for api of the train 'shop': deployment \(asked.id) is awaitingApproval")
        #expect(try await fixture.engine.decide(deployment: asked.id, NewDecision(actor: "admin", approved: true)) == .approved(remaining: 0))
        #expect(try await begin(fixture) == ["web", "api"])
    }

    @Test func otherCommitsAndOtherTrainsAreNotWaitedFor() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        try await push(fixture, "docs", train: "other")
        try await push(fixture, "web")
        try await queue(fixture, "api", commit: "b")
        #expect(try await begin(fixture) == ["web", "docs"])
        #expect(try await newest(fixture, "web").train == nil)
    }

    @Test func whatIsRequiredHasToBeLive() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        try await push(fixture, "web", requires: ["api"], train: nil)
        #expect(try await begin(fixture).isEmpty)
        #expect(try await newest(fixture, "web").heldFor == "requires api, which is not live in dev")
        try await push(fixture, "api", commit: "b", train: nil)
        #expect(try await begin(fixture) == ["api"])
        try await end(fixture, "api")
        fixture.advance(6)
        #expect(try await begin(fixture) == ["web"])
    }

    @Test func aCircleIsRefused() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        try await push(fixture, "web", requires: ["api"])
        try await push(fixture, "api", requires: ["web"])
        #expect(try await begin(fixture).isEmpty)
        let failed = try await fixture.store.deployments(project: "gtin", limit: 10).filter { $0.phase == .failed }
        #expect(failed.count == 1 && failed.first?.message?.contains("api → web → api") == true)
    }

    @Test func aTrainGoesBackAsATrain() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        for commit in ["a", "b"] as [Character] {
            for pipeline in ["web", "api"] { try await push(fixture, pipeline, commit: commit) }
            #expect(try await begin(fixture) == ["web", "api"])
            for pipeline in ["web", "api"] { try await end(fixture, pipeline) }
            fixture.advance(20)
        }
        let place = StageName(project: "gtin", pipeline: "web", stage: "dev")
        let back = try await fixture.engine.rollback(place, by: "eve")
        #expect(back.pipeline == "web" && back.kind == "rollback" && back.train != nil)
        let train = try await fixture.store.deployments(ofTrain: try #require(back.train))
        #expect(train.map(\.pipeline).sorted() == ["api", "web"] && train.allSatisfy { $0.phase == .queued && $0.requestedBy == "eve" })
        let releases = try await fixture.store.releases(project: "gtin", limit: 10)
        #expect(train.allSatisfy { member in releases.contains { $0.id == member.release && $0.commit.hasPrefix("a") } })
        #expect(try await begin(fixture) == ["web", "api"])
        // A lost member takes the other with it, and whoever asks later is told why.
        #expect(try await fixture.engine.leaveTrain(try await newest(fixture, "api"), "it exits") == false)
        let signal = try await fixture.engine.signal(to: try await newest(fixture, "web"), RolloutProgress(phase: .joining))
        #expect(signal == .unfit("the train 'shop' goes back: api: it exits"))
    }

    @Test func aTrainThatHasGoneDoesNotTurnRound() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        for pipeline in ["web", "api"] { try await push(fixture, pipeline) }
        #expect(try await begin(fixture) == ["web", "api"])
        for pipeline in ["web", "api"] { try await end(fixture, pipeline, .committing) }
        let web = try await newest(fixture, "web")
        #expect(try await fixture.engine.signal(to: web, RolloutProgress(phase: .committing)) == .waited(nil))
        #expect(try await fixture.store.train(try #require(web.train))?.state == .committed)
        #expect(try await fixture.engine.leaveTrain(web, "too late"))
    }
}
