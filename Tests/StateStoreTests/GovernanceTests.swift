import DeliveryModel
import Foundation
import OCIModel
import StateStore
import Testing

/// Approvals bound to what they were given for, freezes, the ledger: what both stores promise.
@Suite struct GovernanceTests {
    private let digest = Digest.sha256([1])
    private let people = People(["ann": .init(emails: ["ann@example.com"], groups: ["sre"]), "bob": .init(groups: ["sre"]), "eve": .init()])

    /// A deployment that waits for two of the group, with a secret in its configuration.
    private func waiting(_ fixture: Fixture, rule: ApprovalRule = ApprovalRule(count: 2, from: ["group:sre"])) async throws -> Deployment {
        let run = try await fixture.run()
        let first = try await fixture.release(run, digest: digest)
        try await fixture.store.setSecret("key", project: "gtin", sealed: [1])
        let new = NewDeployment(
            stage: "prod", kind: "promotion", requestedBy: "eve", approvalsNeeded: rule.count, expiresAfter: 60_000, rule: rule,
            configuration: "base", secretNames: ["key"])
        let id = try await fixture.store.createDeployment(new, of: first.release)
        return try #require(try await fixture.store.deployment(id))
    }

    private func decide(
        _ fixture: Fixture, _ deployment: Deployment, _ actor: String, _ approved: Bool = true, digest: Digest? = nil, configuration: String? = nil
    ) async throws -> DecisionOutcome {
        try await fixture.store.decide(
            deployment: deployment.id, NewDecision(actor: actor, approved: approved, digest: digest, configuration: configuration),
            people: people)
    }

    @Test(arguments: StoreKind.allCases) func theRuleIsKeptAndDecides(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let deployment = try await waiting(fixture)
        #expect(deployment.rule == ApprovalRule(count: 2, from: ["group:sre"]) && deployment.secretNames == ["key"])
        #expect(try await decide(fixture, deployment, "zoe") == .refused(.unknownPerson("zoe")))
        #expect(try await decide(fixture, deployment, "eve") == .refused(.notAmongThose("eve", from: ["group:sre"])))
        #expect(try await decide(fixture, deployment, "ann", digest: .sha256([2])) == .refused(.otherDigest))
        #expect(try await decide(fixture, deployment, "ann", configuration: "x") == .refused(.otherConfiguration))
        let subject = try #require(try await fixture.store.approvalSubject(of: deployment.id))
        #expect(
            try await decide(fixture, deployment, "ann", digest: subject.digest, configuration: subject.configuration)
                == .approved(remaining: 1))
        #expect(try await decide(fixture, deployment, "ann") == .refused(.decidedAlready("ann")))
        #expect(try await fixture.store.approvals(of: deployment.id).map(\.configuration) == [subject.configuration])
        #expect(try await decide(fixture, deployment, "bob") == .approved(remaining: 0))
        #expect(try await decide(fixture, deployment, "admin") == .notWaiting(.queued))
    }

    @Test(arguments: StoreKind.allCases) func theReleasesRuleCountsWhereTheDeploymentHasNone(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        let release = NewRelease(
            image: "shop/gtin", digest: digest, service: ServiceDefinition(port: 80),
            stages: #"[{"approval":{"count":1,"from":["group:sre"],"notAuthor":false},"environment":{},"name":"dev","target":"local"}]"#,
            deployments: [NewDeployment(stage: "dev", kind: "automatic", requestedBy: "slipway", approvalsNeeded: 1, expiresAfter: nil)])
        #expect(try await fixture.store.advance(run, RunChange(end: RunEnd(.succeeded)), release: release))
        let waiting = try #require(try await fixture.store.deployments(project: "gtin", limit: 1).first)
        #expect(waiting.rule == nil)
        #expect(try await decide(fixture, waiting, "eve") == .refused(.notAmongThose("eve", from: ["group:sre"])))
        #expect(try await decide(fixture, waiting, "bob") == .approved(remaining: 0))
    }

    @Test(arguments: StoreKind.allCases) func anApprovalIsForOneConfiguration(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let deployment = try await waiting(fixture)
        #expect(try await decide(fixture, deployment, "ann") == .approved(remaining: 1))
        let before = try await fixture.store.approvalSubject(of: deployment.id)
        try await fixture.store.setSecret("key", project: "gtin", sealed: [2])
        #expect(try await fixture.store.approvalSubject(of: deployment.id) != before)
        // What was said of the other secret does not count; the same person may say it again.
        #expect(try await decide(fixture, deployment, "bob") == .approved(remaining: 1))
        #expect(try await decide(fixture, deployment, "ann") == .approved(remaining: 0))
        #expect(try await fixture.store.deployment(deployment.id)?.phase == .queued)
    }

    @Test(arguments: StoreKind.allCases) func whatIsTooLateIsRefused(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let deployment = try await waiting(fixture)
        try await fixture.advance(70_000)
        #expect(try await decide(fixture, deployment, "ann") == .refused(.expired))
        #expect(try await fixture.store.expireApprovals() == [deployment.id])
        #expect(try await fixture.store.newestLedger(project: nil, limit: 1).first?.entry.kind == .expired)
    }

    @Test(arguments: StoreKind.allCases) func theAuthorsAddressesAreKept(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        var new = Fixture.newRun("plain:1")
        new.authorEmails = ["ann@example.com", "x@example.com"]
        guard case .created(let id) = try await fixture.store.createRun(new, actor: "ada") else { throw CancellationError() }
        #expect(try await fixture.store.run(id)?.authorEmails == new.authorEmails)
        let run = try #require(try await fixture.store.claimRun(holder: "a", leaseSeconds: 10_000))
        let first = try await fixture.release(run, digest: digest)
        #expect(try await fixture.store.release(first.release)?.authorEmails == new.authorEmails)
        let rule = ApprovalRule(count: 1, notAuthor: true)
        let prod = try await fixture.store.createDeployment(
            NewDeployment(stage: "prod", kind: "promotion", requestedBy: "eve", approvalsNeeded: 1, expiresAfter: nil, rule: rule), of: first.release)
        let deployment = try #require(try await fixture.store.deployment(prod))
        #expect(try await decide(fixture, deployment, "ann") == .refused(.isAuthor("ann")))
        #expect(try await decide(fixture, deployment, "bob") == .approved(remaining: 0))
    }

    @Test(arguments: StoreKind.allCases) func aHeldDeploymentIsNotClaimedBeforeItsTime(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        _ = try await fixture.release(try await fixture.run(), digest: digest)
        let claimed = try #require(try await store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        let time = try await store.time()
        #expect(abs(claimed.leaseExpiresAt - 10_000 - time) < 100)
        #expect(try await store.hold(claimed, until: time + 5_000, reason: "frozen", isFreeze: true))
        #expect(try await store.hold(claimed, until: time + 5_000, reason: "frozen", isFreeze: true))
        let held = try #require(try await store.deployment(claimed.id))
        #expect(held.heldFor == "frozen" && held.startedAt == nil && held.holder == nil && held.phase == .queued)
        #expect(try await store.claimDeployment(holder: "b", leaseSeconds: 10) == nil)
        // What began does not wait any more.
        var stale = claimed
        stale.epoch -= 1
        #expect(try await store.hold(stale, until: time, reason: "x", isFreeze: true) == false)
        #expect(try await store.overrideFreeze(deployment: claimed.id, actor: "ann", reason: "the shop is down"))
        #expect(try await store.overrideFreeze(deployment: claimed.id, actor: "bob", reason: "again") == false)
        // Who looked before that has nothing to hold any more.
        #expect(try await store.hold(claimed, until: time + 5_000, reason: "frozen", isFreeze: true) == false)
        let again = try #require(try await store.claimDeployment(holder: "b", leaseSeconds: 10_000))
        #expect(again.id == claimed.id && again.overriddenBy == "ann" && again.overrideReason == "the shop is down" && again.startedAt != nil)
        #expect(
            try await store.advanceDeployment(
                again.id, epoch: again.epoch, by: DeploymentChange(from: .queued, to: .starting, message: nil, logTail: nil, followers: [])))
        #expect(try await store.hold(again, until: time, reason: "x", isFreeze: true) == false)
        #expect(try await store.overrideFreeze(deployment: 999, actor: "ann", reason: "x") == false)
        let entry = try #require(try await store.ledger(project: "gtin", after: 0, limit: 10).first { $0.entry.kind == .override }?.entry)
        #expect(entry.actor == "ann" && entry.remark == "the shop is down" && entry.deployment == claimed.id)
    }

    @Test(arguments: StoreKind.allCases) func aFirstDeploymentIsMadeOnce(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let first = try await fixture.release(try await fixture.run(), digest: digest)
        let new = NewDeployment(
            stage: "prod", kind: "promotion", requestedBy: "slipway", approvalsNeeded: 0, expiresAfter: nil, isFirst: true)
        let servers = try await fixture.servers(3)
        let ids = try await withThrowingTaskGroup(of: Int64.self) { group in
            for server in servers { group.addTask { try await server.createDeployment(new, of: first.release) } }
            return try await group.reduce(into: Set<Int64>()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
        #expect(try await fixture.store.deployments(ofRelease: first.release).count == 2)
    }

    @Test(arguments: StoreKind.allCases) func tagsOfACommitAreKnown(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        for (id, tag) in [("1", "v2"), ("2", "v1"), ("3", "v2"), ("4", nil)] {
            _ = try await fixture.store.accept(
                NewDelivery(
                    project: "gtin", forge: "plain", forgeID: id, headers: [:], body: [], event: "tag", tag: tag, commit: "c0ffee"))
        }
        #expect(try await fixture.store.tags(project: "gtin", commit: "c0ffee") == ["v1", "v2"])
        #expect(try await fixture.store.tags(project: "gtin", commit: "decaf").isEmpty)
    }

    @Test(arguments: StoreKind.allCases) func theLedgerTellsWhatWasDone(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        let deployment = try await waiting(fixture, rule: ApprovalRule(count: 1))
        let dev = try #require(try await store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        func move(_ deployment: Deployment, _ from: RolloutPhase, _ to: RolloutPhase, _ message: String? = nil) async throws {
            #expect(
                try await store.advanceDeployment(
                    deployment.id, epoch: deployment.epoch, by: DeploymentChange(from: from, to: to, message: message)))
        }
        try await move(dev, .queued, .starting)
        try await move(dev, .starting, .reverting, "not healthy")
        try await move(dev, .reverting, .reverted)
        _ = try await decide(fixture, deployment, "ann")
        let prod = try #require(try await store.claimDeployment(holder: "a", leaseSeconds: 10_000))
        try await move(prod, .queued, .starting)
        for (from, to) in [
            (RolloutPhase.starting, RolloutPhase.warming), (.warming, .switching), (.switching, .confirming), (.confirming, .draining),
        ] {
            try await move(prod, from, to)
        }
        try await move(prod, .draining, .retiring)
        try await move(prod, .retiring, .succeeded)
        _ = try await store.createDeployment(
            NewDeployment(stage: "prod", kind: "rollback", requestedBy: "bob", approvalsNeeded: 0, expiresAfter: nil), of: prod.release)
        let records = try await store.ledger(project: nil, after: 0, limit: 100)
        #expect(records.map(\.entry.kind) == [.built, .begun, .reverted, .approved, .begun, .succeeded, .rollback])
        #expect(records.map(\.entry.actor) == ["slipway", "slipway", "slipway", "ann", "slipway", "slipway", "bob"])
        #expect(records[2].entry.remark == "not healthy" && records[3].entry.configuration?.hasPrefix("sha256:") == true)
        #expect(records.allSatisfy { $0.entry.digest == digest && $0.entry.commit == String(repeating: "a", count: 40) })
        var verifier = LedgerVerifier()
        for record in records { try verifier.follow(record) }
        #expect(try await store.ledger(project: nil, after: 5, limit: 1).map(\.entry.number) == [6])
        #expect(try await store.newestLedger(project: "gtin", limit: 2).map(\.entry.number) == [6, 7])
        #expect(try await store.newestLedger(project: "other", limit: 2).isEmpty)
        // The project goes, what was done does not.
        #expect(try await store.removeProject("gtin") == .removed)
        #expect(try await store.ledger(project: nil, after: 0, limit: 100) == records)
        try await fixture.project()
        _ = try await fixture.release(try await runAgain(fixture), digest: .sha256([2]))
        let all = try await store.ledger(project: nil, after: 0, limit: 100)
        verifier = LedgerVerifier()
        for record in all { try verifier.follow(record) }
        #expect(all.count == 8)
    }

    private func runAgain(_ fixture: Fixture) async throws -> Run {
        _ = try await fixture.store.createRun(Fixture.newRun("plain:again"), actor: "ada")
        return try #require(try await fixture.store.claimRun(holder: "a", leaseSeconds: 10_000))
    }

    @Test(arguments: StoreKind.allCases) func theChainDoesNotFork(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let deployment = try await fixture.release(try await fixture.run(), digest: digest)
        let servers = try await fixture.servers(4)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let new = NewDeployment(
                        stage: "s\(number % 7)", kind: "rollback", requestedBy: "a\(number)", approvalsNeeded: 0, expiresAfter: nil,
                        override: number.isMultiple(of: 2) ? "why not" : nil)
                    _ = try await servers[number % 4].createDeployment(new, of: deployment.release)
                }
            }
            try await group.waitForAll()
        }
        var verifier = LedgerVerifier()
        for record in try await fixture.store.ledger(project: nil, after: 0, limit: 1000) { try verifier.follow(record) }
        #expect(verifier.end.entries == 61)
    }

    @Test(arguments: StoreKind.allCases) func aPersonsTokenIsKept(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let token = AccessToken(
            name: "ann-laptop", hash: AccessToken.newSecret().hash, pull: [], push: [], createdBy: "admin", createdAt: 5, person: "ann",
            role: .viewer)
        try await fixture.store.add(token)
        #expect(try await fixture.store.token(hash: token.hash) == token)
        #expect(Role.viewer < .deployer && Role.deployer < .admin)
    }
}
