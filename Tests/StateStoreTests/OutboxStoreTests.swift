import DeliveryModel
import Foundation
import OCIModel
import StateStore
import Testing

/// What the store writes into the outbox, and when; who may claim it.
@Suite struct OutboxStoreTests {
    private func fixture(_ kind: StoreKind) async throws -> Fixture {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        return fixture
    }

    private func webhook(_ fixture: Fixture, _ events: [String] = []) async throws -> Int64 {
        try await fixture.store.save(
            NewOutboxTarget(project: "gtin", kind: .webhook, url: "https://example.org/", events: events, sealedSecret: Data([1])))
    }

    private func queue(_ fixture: Fixture, _ id: String, approvals: Int = 0, diagnostic: String? = nil) async throws -> Int64 {
        let new = NewRun(
            project: "gtin", pipeline: "main", trigger: "plain:\(id)", event: "push", commit: String(repeating: "a", count: 40),
            branch: "main", author: "Ada", message: "first", commitTime: 1, plan: "{}", diagnostic: diagnostic, steps: [])
        return try #require(try await fixture.store.finishDelivery(fixture.deliver(id), outcome: "", runs: [new]).first)
    }

    private func events(_ fixture: Fixture) async throws -> [String] {
        try await fixture.store.messages(project: "gtin", states: OutboxMessage.State.allCases, limit: 100).reversed()
            .map(\.facts.event.rawValue)
    }

    @Test(arguments: StoreKind.allCases) func everyTransitionToBeToldIsWrittenOnce(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        _ = try await webhook(fixture)
        _ = try await queue(fixture, "1")
        let run = try #require(try await fixture.store.claimRun(holder: "a", leaseSeconds: 10_000))
        try await fixture.advance(10_001)
        // Taken over: it was told before that the run had started.
        let again = try #require(try await fixture.store.claimRun(holder: "b", leaseSeconds: 10_000))
        #expect(again.starts == 2)
        #expect(
            try await fixture.store.advance(run, RunChange(end: RunEnd(.failed))) == false)
        let deployment = try await fixture.release(again, digest: .sha256([1]), approvals: 1)
        #expect(
            try await fixture.store.decide(deployment: deployment.id, actor: "ada", approved: true, comment: nil) == .approved(remaining: 0))
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        #expect(
            try await fixture.store.advanceDeployment(
                claimed.id, epoch: claimed.epoch, by: DeploymentChange(from: .queued, to: .failed, message: "no room", logTail: nil, followers: [])))
        let expected = ["run.queued", "run.started", "run.succeeded", "deployment.awaiting_approval", "deployment.failed"]
        #expect(try await events(fixture) == expected)
        let last = try #require(try await fixture.store.messages(project: "gtin", states: [.waiting], limit: 1).first)
        #expect(last.facts.stage == "dev" && last.facts.error == "no room" && last.facts.run == run.id && last.facts.deployment == deployment.id)
    }

    @Test(arguments: StoreKind.allCases) func runsThatNeverRanAreTold(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        _ = try await webhook(fixture)
        _ = try await queue(fixture, "1", diagnostic: "pipelines/main.yaml:1:1: no")
        let second = try await queue(fixture, "2")
        #expect(try await fixture.store.requestCancel(run: second, actor: "ada"))
        #expect(try await events(fixture) == ["run.failed", "run.queued", "run.cancelled"])
    }

    @Test(arguments: StoreKind.allCases) func aForgeIsToldOfRunsOnlyAndAWebhookWhatItAskedFor(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        _ = try await webhook(fixture, ["deployment.awaiting_approval"])
        let forge = try await fixture.store.save(
            NewOutboxTarget(project: "gtin", kind: .github, url: "https://example.org/repos/a/b", tokenSecret: "t"))
        _ = try await queue(fixture, "1")
        let run = try #require(try await fixture.store.claimRun(holder: "a", leaseSeconds: 10_000))
        _ = try await fixture.release(run, digest: .sha256([1]), approvals: 1)
        let messages = try await fixture.store.messages(project: "gtin", states: [.waiting], limit: 100)
        #expect(messages.filter { $0.target == forge }.map(\.facts.event) == [.runSucceeded, .runStarted, .runQueued])
        #expect(messages.filter { $0.target != forge }.map(\.facts.event) == [.deploymentAwaitingApproval])
        // Of the three only the newest is sent.
        let claimed = [
            try await fixture.store.claimMessage(holder: "a", leaseSeconds: 10_000),
            try await fixture.store.claimMessage(holder: "a", leaseSeconds: 10_000),
            try await fixture.store.claimMessage(holder: "a", leaseSeconds: 10_000),
        ]
        #expect(Set(claimed.compactMap { $0?.facts.event }) == [.runSucceeded, .deploymentAwaitingApproval])
    }

    @Test(arguments: StoreKind.allCases) func whatLeftIsForgottenAfterAWeekAndDeadLettersAreNot(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        _ = try await webhook(fixture)
        for outcome in [MessageOutcome.sent, .dead(reason: "no"), .sent] {
            _ = try await queue(fixture, "\(UUID())")
            let message = try #require(try await fixture.store.claimMessage(holder: "a", leaseSeconds: 10_000))
            #expect(try await fixture.store.finishMessage(message.id, epoch: message.epoch, outcome: outcome))
            try await fixture.advance(8 * 86_400)
        }
        let left = try await fixture.store.messages(project: nil, states: OutboxMessage.State.allCases, limit: 100)
        #expect(left.map(\.state) == [.sent, .dead])
    }

    @Test(arguments: StoreKind.allCases) func aTargetGoesWithItsMessagesAndAProjectWithBoth(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let target = try await webhook(fixture)
        _ = try await webhook(fixture)
        _ = try await queue(fixture, "1")
        #expect(try await fixture.store.removeOutboxTarget(target, project: "other") == false)
        #expect(try await fixture.store.removeOutboxTarget(target, project: "gtin"))
        #expect(try await fixture.store.messages(project: nil, states: [.waiting], limit: 10).count == 1)
        #expect(try await fixture.store.removeProject("gtin") == .removed)
        #expect(try await fixture.store.messages(project: nil, states: [.waiting], limit: 10).isEmpty)
    }

    @Test(arguments: StoreKind.allCases) func startsCountUntilAnOrderlyEnd(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        let id = try await fixture.deliver("1")
        for start in 1...4 {
            let delivery = try #require(try await fixture.store.claimDelivery(holder: "a", leaseSeconds: 10_000))
            #expect(delivery.starts == start)
            #expect(try await fixture.store.claimDelivery(holder: "b", leaseSeconds: 10_000) == nil)
            try await fixture.store.releaseLeases(holder: "a", orderly: false)
        }
        _ = try await fixture.store.claimDelivery(holder: "a", leaseSeconds: 10_000)
        try await fixture.store.releaseLeases(holder: "a", orderly: true)
        let clean = try #require(try await fixture.store.claimDelivery(holder: "a", leaseSeconds: 10_000))
        #expect(clean.starts == 1)
        #expect(try await fixture.store.renewDelivery(id, epoch: clean.epoch - 1, leaseSeconds: 10_000) == false)
        #expect(try await fixture.store.renewDelivery(id, epoch: clean.epoch, leaseSeconds: 10_000))
        try await fixture.store.postponeDelivery(id, reason: "no network", delay: 5, final: false)
        try await fixture.advance(5_000)
        #expect(try await fixture.store.claimDelivery(holder: "a", leaseSeconds: 10_000)?.starts == 1)
        try await fixture.store.postponeDelivery(id, reason: "enough", delay: 0, final: true)
        #expect(try await fixture.store.failedDeliveries(project: "gtin", startedMoreThan: 0) == [id])
        #expect(try await fixture.store.failedDeliveries(project: "gtin", startedMoreThan: 1).isEmpty)
        #expect(try await fixture.store.retryDelivery(id) == "gtin")
        #expect(try await fixture.store.retryDelivery(id) == nil)
        #expect(try await fixture.store.claimDelivery(holder: "a", leaseSeconds: 10_000)?.starts == 1)
    }
}
