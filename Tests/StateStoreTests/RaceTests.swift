import DeliveryModel
import Foundation
import OCIModel
import StateStore
import Testing

/// What holds when several servers are at it at once.
@Suite struct RaceTests {
    @Test(arguments: StoreKind.allCases) func everyRunIsClaimedOnce(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        let ids = try await fixture.runs((0..<60).map { "t\($0)" })
        let servers = try await fixture.servers(3)
        let claimed = try await withThrowingTaskGroup(of: [Run].self) { group in
            for worker in 0..<12 {
                group.addTask {
                    var mine: [Run] = []
                    while let run = try await servers[worker % 3].claimRun(holder: "h\(worker)", leaseSeconds: 60_000) { mine.append(run) }
                    return mine
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(claimed.map(\.id).sorted() == ids)
        #expect(claimed.allSatisfy { $0.epoch == 1 })
    }

    @Test(arguments: StoreKind.allCases) func oneDeliveryIsOneRow(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        let servers = try await fixture.servers(4)
        let outcomes = try await withThrowingTaskGroup(of: AcceptOutcome.self) { group in
            for number in 0..<40 { group.addTask { try await servers[number % 4].accept(Fixture.delivery("same")) } }
            return try await group.reduce(into: [AcceptOutcome]()) { $0.append($1) }
        }
        let accepted = outcomes.compactMap { if case .accepted(let id) = $0 { id } else { nil } }
        let id = try #require(accepted.first)
        #expect(accepted.count == 1)
        #expect(outcomes.filter { $0 == .duplicate(id) }.count == 39)
        #expect(try await fixture.store.deliveries(project: "gtin", limit: 100).count == 1)
        // Its runs are made once too.
        let made = try await withThrowingTaskGroup(of: [Int64].self) { group in
            for server in servers {
                group.addTask { try await server.finishDelivery(id, outcome: "", runs: [Fixture.newRun("one"), Fixture.newRun("two")]) }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(made.count == 2)
    }

    @Test(arguments: StoreKind.allCases) func anExpiredLeaseIsTakenOverByOne(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let old = try await fixture.run()
        try await fixture.advance(11_000)
        let servers = try await fixture.servers(4)
        let taken = try await withThrowingTaskGroup(of: Run?.self) { group in
            for number in 0..<8 { group.addTask { try await servers[number % 4].claimRun(holder: "n\(number)", leaseSeconds: 10_000) } }
            return try await group.reduce(into: [Run]()) { if let run = $1 { $0.append(run) } }
        }
        #expect(taken.count == 1 && taken.first?.epoch == 2)
        // Every write of the one before is refused.
        let store = fixture.store
        #expect(try await store.renewRun(old.id, epoch: old.epoch, leaseSeconds: 10_000) == false)
        #expect(try await store.advance(old, RunChange(phase: .push)) == false)
        #expect(try await store.advance(old, RunChange(image: .sha256([1]))) == false)
        #expect(try await store.move("test", of: old, from: .running, to: .failed) == false)
        #expect(
            try await store.advance(old, RunChange(end: RunEnd(.failed))) == false)
        #expect(try await store.run(old.id)?.state == .running)
    }

    @Test(arguments: StoreKind.allCases) func aStageHasOneDeploymentUnderWay(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let first = try await fixture.release(try await fixture.run(), digest: .sha256([1]))
        let servers = try await fixture.servers(4)
        // Created at once: all but one have given way.
        let new = NewDeployment(stage: "dev", kind: "promotion", requestedBy: "ada", approvalsNeeded: 0, expiresAfter: nil)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<16 { group.addTask { _ = try await servers[number % 4].createDeployment(new, of: first.release) } }
            try await group.waitForAll()
        }
        let open = try await fixture.store.deployments(project: "gtin", limit: 100).filter { !$0.phase.isTerminal }
        #expect(open.count == 1)
        let claimed = try await withThrowingTaskGroup(of: Deployment?.self) { group in
            for number in 0..<8 { group.addTask { try await servers[number % 4].claimDeployment(holder: "n\(number)", leaseSeconds: 9_000) } }
            return try await group.reduce(into: [Deployment]()) { if let one = $1 { $0.append(one) } }
        }
        #expect(claimed.map(\.id) == open.map(\.id))
        let old = try #require(claimed.first)
        try await fixture.advance(10_000)
        let taken = try #require(try await servers[1].claimDeployment(holder: "other", leaseSeconds: 10_000))
        #expect(taken.id == old.id && taken.epoch == old.epoch + 1)
        #expect(try await servers[0].renewDeployment(old.id, epoch: old.epoch, leaseSeconds: 10_000) == false)
        #expect(
            try await servers[0].advanceDeployment(
                old.id, epoch: old.epoch, by: DeploymentChange(from: .queued, to: .starting, message: nil, logTail: nil, followers: [])) == false)
    }

    @Test(arguments: StoreKind.allCases) func approvalsAtOnceAreAllCounted(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let deployment = try await fixture.release(try await fixture.run(), digest: .sha256([1]), approvals: 6)
        let servers = try await fixture.servers(3)
        let outcomes = try await withThrowingTaskGroup(of: DecisionOutcome.self) { group in
            for number in 0..<6 {
                group.addTask {
                    try await servers[number % 3].decide(deployment: deployment.id, actor: "a\(number)", approved: true, comment: nil)
                }
            }
            return try await group.reduce(into: Set<DecisionOutcome>()) { $0.insert($1) }
        }
        #expect(outcomes == Set((0..<6).map { .approved(remaining: $0) }))
        #expect(try await fixture.store.deployment(deployment.id)?.phase == .queued)
    }

    @Test(arguments: StoreKind.allCases) func aProjectIsRemovedOrClaimedNeverBoth(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let servers = try await fixture.servers(2)
        for round in 0..<10 {
            if try await fixture.store.project("gtin") == nil { try await fixture.project() }
            let ids = try await fixture.runs(["r\(round)"])
            async let removal = servers[0].removeProject("gtin")
            async let claim = servers[1].claimRun(holder: "a", leaseSeconds: 60_000)
            let (outcome, run) = try await (removal, claim)
            if let run {
                #expect(outcome == .busy && run.id == ids.first)
                #expect(
                    try await fixture.store.advance(run, RunChange(end: RunEnd(.failed))))
            } else {
                #expect(outcome == .removed)
            }
        }
    }
}
