import DeliveryModel
import Foundation
import OCIModel
import PipelineFile
import StateSQLite
import StateStore
import Testing

@testable import PipelineEngine

/// Freezes at the moment of execution, and promotion by rule: the engine over a real store with a clock the test moves.
@Suite struct GovernanceTests {
    private let digest = Digest.sha256([1])

    /// A release with these stages, made by a run; it is live in `dev` where there is such a stage.
    private func release(
        _ fixture: EngineFixture, _ stages: [StagePlan], commit: Character = "a", run id: String = "1", image: String? = nil,
        service: ServiceDefinition = ServiceDefinition(port: 80)
    ) async throws -> Release {
        try await fixture.queueRun(id, commit: commit)
        let run = try #require(try await fixture.store.claimRun(holder: "test", leaseSeconds: 10))
        let new = NewRelease(
            image: "shop/gtin", digest: .sha256(Array((image ?? id).utf8)), service: service,
            stages: String(decoding: try OCIJSON.encode(stages), as: UTF8.self),
            deployments: try stages.filter { $0.after == nil && $0.promotesAtOnce }
                .map { try fixture.engine.newDeployment(to: $0, of: service, kind: "automatic", by: "slipway") })
        #expect(try await fixture.store.advanceRun(run.id, epoch: run.epoch, by: RunChange(end: RunEnd(.succeeded)), release: new))
        return try #require(try await fixture.store.release(ofRun: run.id))
    }

    private func succeed(_ fixture: EngineFixture, _ stage: String) async throws {
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10))
        #expect(claimed.stage == stage)
        var phase = claimed.phase
        for next in [RolloutPhase.starting, .warming, .switching, .confirming, .draining, .retiring, .succeeded] {
            #expect(
                try await fixture.store.advanceDeployment(
                    claimed.id, epoch: claimed.epoch, by: DeploymentChange(from: phase, to: next, message: nil, logTail: nil, followers: [])))
            phase = next
        }
    }

    /// As at every look, with nothing known from before.
    private func due(_ fixture: EngineFixture) async throws -> [Deployment] {
        var ruleless: Set<Int64> = []
        return try await fixture.engine.promoteWhatIsDue(&ruleless)
    }

    private func deployments(_ fixture: EngineFixture, _ stage: String) async throws -> [Deployment] {
        try await fixture.store.deployments(project: "gtin", limit: 50).filter { $0.stage == stage }
    }

    @Test func aReleaseGoesOnAfterItsTime() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        let stages = [StagePlan(name: "dev"), StagePlan(name: "prod", after: "dev", promote: .after(1800))]
        let old = try await release(fixture, stages)
        try await succeed(fixture, "dev")
        #expect(try await due(fixture).isEmpty)
        fixture.advance(1799)
        #expect(try await due(fixture).isEmpty)
        // A newer one begins its time anew, and the old one does not come any more.
        let new = try await release(fixture, stages, run: "2")
        try await succeed(fixture, "dev")
        fixture.advance(1799)
        #expect(try await due(fixture).isEmpty)
        fixture.advance(2)
        let made = try await due(fixture)
        #expect(
            made.map(\.release) == [new.id] && made.first?.stage == "prod" && made.first?.phase == .queued && made.first?.requestedBy == "slipway")
        // Once, also after a restart, and also when it failed.
        #expect(try await due(fixture).isEmpty)
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10))
        #expect(
            try await fixture.store.advanceDeployment(
                claimed.id, epoch: claimed.epoch, by: DeploymentChange(from: .queued, to: .failed, message: "no", logTail: nil, followers: [])))
        fixture.advance(10_000)
        #expect(try await due(fixture).isEmpty)
        #expect(try await deployments(fixture, "prod").map(\.release) == [new.id] && old.id < new.id)
    }

    @Test func aRollbackBringsBackOtherSettingsOfTheSameImage() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        let place = StageName(project: "gtin", pipeline: "main", stage: "dev")
        var brisk = ServiceDefinition(port: 80)
        brisk.environment = ["PACE": "brisk"]
        let stages = [StagePlan(name: "dev")]
        let calm = try await release(fixture, stages, image: "one")
        try await succeed(fixture, "dev")
        await #expect(throws: EngineError.self) { try await fixture.engine.rollback(place, by: "ann") }
        let other = try await release(fixture, stages, run: "2", image: "one", service: brisk)
        try await succeed(fixture, "dev")
        // Once more the same: there is no difference to go back to.
        let same = try await release(fixture, stages, run: "3", image: "one", service: brisk)
        try await succeed(fixture, "dev")
        let back = try await fixture.engine.rollback(place, by: "ann")
        #expect(back.release == calm.id && back.kind == "rollback" && other.digest == calm.digest && same.digest == calm.digest)
        try await succeed(fixture, "dev")
        // And back again: what was there before it.
        #expect(try await fixture.engine.rollback(place, by: "ann").release == same.id)
    }

    @Test func aTagBringsTheSameDigestOn() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        let rule = ApprovalRule(count: 1)
        let made = try await release(
            fixture, [StagePlan(name: "dev"), StagePlan(name: "prod", after: "dev", approval: rule, promote: .tag("v*"))])
        try await succeed(fixture, "dev")
        fixture.advance(100_000)
        func tag(_ name: String, commit: Character) async throws {
            _ = try await fixture.store.accept(
                NewDelivery(
                    project: "gtin", forge: "plain", forgeID: name, headers: [:], body: [], event: "tag", tag: name,
                    commit: String(repeating: commit, count: 40)))
        }
        try await tag("w1", commit: "a")
        try await tag("v1", commit: "b")
        #expect(try await due(fixture).isEmpty)
        try await tag("v2", commit: "a")
        let prod = try #require(try await due(fixture).first)
        // The rule of approval holds all the same.
        #expect(prod.digest == made.digest && prod.phase == .awaitingApproval && prod.rule == rule)
    }

    @Test func releasesWithoutRulesAreReadOnce() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        let made = try await release(fixture, [StagePlan(name: "dev"), StagePlan(name: "prod", after: "dev")])
        try await succeed(fixture, "dev")
        var ruleless: Set<Int64> = [made.id + 7]
        #expect(try await fixture.engine.promoteWhatIsDue(&ruleless).isEmpty)
        #expect(ruleless == [made.id])
    }

    @Test func whatIsManualWaitsForSomebody() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        let made = try await release(fixture, [StagePlan(name: "dev", promote: .manual), StagePlan(name: "prod", after: "dev", promote: .manual)])
        fixture.advance(1e6)
        #expect(try await due(fixture).isEmpty)
        #expect(try await fixture.store.deployments(ofRelease: made.id).isEmpty)
        let stage = try #require(try await fixture.engine.overview(project: "gtin").first)
        #expect(stage.promotable?.id == made.id)
        #expect(
            try await fixture.engine.facts(of: stage, project: "gtin").why
                == "nothing is live; \(made.digest.short) (aaaaaaa Sell boats) is built and waits for somebody to promote it")
        let dev = try await fixture.engine.promote(to: StageName(project: "gtin", pipeline: "main", stage: "dev"), by: "ann")
        #expect(dev.requestedBy == "ann" && dev.release == made.id)
    }

    @Test func aFirstStageWithAScheduleCountsFromTheRelease() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        // 2027-01-15 08:00 UTC, a Friday.
        let made = try await release(fixture, [StagePlan(name: "dev", promote: .at(try CronSchedule("0 9 * * MON-FRI")))])
        fixture.advance(3590)
        #expect(try await due(fixture).isEmpty)
        fixture.advance(10)
        #expect(try await due(fixture).map(\.release) == [made.id])
    }

    @Test func aFrozenDeploymentWaitsForTheEnd() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        let freeze = [FreezeWindow(cron: try CronSchedule("0 8 * * *"), seconds: 7200)]
        _ = try await release(fixture, [StagePlan(name: "dev", freeze: freeze)])
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10))
        #expect(try await fixture.engine.mayBegin(claimed) == false)
        let held = try #require(try await fixture.store.deployment(claimed.id))
        #expect(held.phase == .queued && held.heldFor == "frozen until 2027-01-15 10:00 UTC" && held.startedAt == nil)
        #expect(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10) == nil)
        fixture.advance(7100)
        // Looked at again now and then, and still frozen.
        let again = try #require(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10))
        #expect(try await fixture.engine.mayBegin(again) == false)
        fixture.advance(100)
        let last = try #require(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10))
        #expect(try await fixture.engine.mayBegin(last))
        // It was said once.
        let said = try await fixture.store.events(project: "gtin", run: nil, deployment: claimed.id, limit: 50).filter {
            $0.message.hasPrefix("frozen")
        }
        #expect(said.count == 1)
    }

    @Test func whatCannotWaitGoesAhead() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        let freeze = [FreezeWindow(cron: try CronSchedule("0 0 * * *"), seconds: 86_400)]
        _ = try await release(fixture, [StagePlan(name: "dev", freeze: freeze)])
        let place = StageName(project: "gtin", pipeline: "main", stage: "dev")
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10))
        #expect(try await fixture.engine.mayBegin(claimed) == false)
        let freed = try await fixture.engine.overrideFreeze(place, reason: "the shop is down", by: "ann")
        #expect(freed.overriddenBy == "ann" && freed.heldUntil == nil)
        let now = try #require(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10))
        #expect(try await fixture.engine.mayBegin(now))
        // Nothing is left to set aside.
        await #expect(throws: EngineError.self) { try await fixture.engine.overrideFreeze(place, reason: "again", by: "ann") }
        let promoted = try await fixture.engine.promote(to: place, overridingFreeze: "again", by: "bob")
        #expect(promoted.overriddenBy == "bob" && promoted.overrideReason == "again")
        let overrides = try await fixture.store.ledger(project: nil, after: 0, limit: 50).map(\.entry).filter { $0.kind == .override }
        #expect(overrides.map(\.actor) == ["ann", "bob"] && overrides.map(\.remark) == ["the shop is down", "again"])
    }

    @Test func aSecretSetAfterTheApprovalIsNotDelivered() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        try await fixture.store.setSecret("key", project: "gtin", sealed: [1])
        let stage = StagePlan(name: "prod", approval: ApprovalRule(count: 1), environment: ["KEY": .secret("key")])
        for (round, isChanged) in [false, true].enumerated() {
            _ = try await release(fixture, [stage], run: "\(round)")
            let waiting = try #require(try await deployments(fixture, "prod").first)
            #expect(
                try await fixture.engine.decide(deployment: waiting.id, NewDecision(actor: "admin", approved: true)) == .approved(remaining: 0))
            if isChanged { try await fixture.store.setSecret("key", project: "gtin", sealed: [2]) }
            let claimed = try #require(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10))
            #expect(try await fixture.engine.mayBegin(claimed) == !isChanged)
        }
        #expect(try await deployments(fixture, "prod").first?.phase == .failed)
    }

    @Test func aPlanTellsWhatWouldBeOtherwise() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        try await fixture.store.setSecret("key", project: "gtin", sealed: [1])
        let old = StagePlan(name: "prod", environment: ["KEY": .secret("key"), "MODE": .literal("a"), "OLD": .literal("x")])
        _ = try await release(fixture, [old])
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10_000))
        #expect(try await fixture.engine.mayBegin(claimed))
        #expect(try await fixture.store.deployment(claimed.id)?.secretVersions == ["key": Configuration.version([1])])
        var phase = claimed.phase
        for next in [RolloutPhase.starting, .warming, .switching, .confirming, .draining, .retiring, .succeeded] {
            #expect(
                try await fixture.store.advanceDeployment(
                    claimed.id, epoch: claimed.epoch, by: DeploymentChange(from: phase, to: next, message: nil, logTail: nil, followers: [])))
            phase = next
        }
        try await fixture.store.setSecret("key", project: "gtin", sealed: [2])
        let new = StagePlan(
            name: "prod", approval: ApprovalRule(count: 2),
            environment: ["KEY": .secret("key"), "MODE": .literal("b"), "MORE": .secret("other")], replicas: 3,
            freeze: [FreezeWindow(cron: try CronSchedule("0 8 * * *"), seconds: 7200)])
        let made = try await release(fixture, [new], commit: "b", run: "2")
        let place = StageName(project: "gtin", pipeline: "main", stage: "prod")
        let plan = try await fixture.engine.plan(for: place)
        #expect(plan.next.release == made.id && plan.live?.commit == String(repeating: "a", count: 40) && plan.deployment != nil)
        #expect(
            plan.changes.map(\.text) == [
                "replicas: 1 → 3", "KEY: the secret key → the secret key, set anew", "MODE: \"a\" → \"b\"",
                "MORE: the secret other, which is not set (new)", "OLD: \"x\" (removed)",
            ])
        #expect(plan.approvals?.missing == 2 && plan.freeze != nil)
        // There is no repository to ask.
        #expect(plan.commits == nil)
        let stage = try #require(try await fixture.engine.overview(project: "gtin").first)
        #expect(
            try await fixture.engine.facts(of: stage, project: "gtin").why.hasSuffix(
                "deployment \(plan.deployment ?? 0) of \(made.digest.short) (bbbbbbb Sell boats) waits for 2 approvals"))
    }
}
