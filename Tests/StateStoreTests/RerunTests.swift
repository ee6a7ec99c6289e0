import DeliveryModel
import StateStore
import Testing

/// Repeated runs, concurrency groups and retries, as the store sees them.
@Suite struct RerunTests {
    private func new(
        _ trigger: String, group: String? = nil, supersedes: Bool = false, rerunOf: Int64? = nil,
        steps: [NewStep] = [NewStep(name: "test", image: "busybox", dependsOn: [])]
    ) -> NewRun {
        NewRun(
            project: "gtin", pipeline: "main", trigger: trigger, event: "push", commit: String(repeating: "a", count: 40),
            branch: "main", author: "Ada", message: "first", commitTime: 1, plan: "{}", diagnostic: nil, steps: steps,
            rerunOf: rerunOf, concurrencyGroup: group, supersedes: supersedes)
    }

    private func create(_ run: NewRun, in fixture: Fixture) async throws -> Int64 {
        guard case .created(let id) = try await fixture.store.createRun(run, actor: "ada") else { throw CancellationError() }
        return id
    }

    private func claim(_ fixture: Fixture) async throws -> Run? { try await fixture.store.claimRun(holder: "a", leaseSeconds: 10_000) }

    private func finish(_ run: Run, in fixture: Fixture) async throws {
        let done = try await fixture.store.advance(run, RunChange(end: RunEnd(.failed, error: "x")))
        #expect(done)
    }

    @Test(arguments: StoreKind.allCases) func theSameRequestMakesOneRun(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let original = try await fixture.run()
        try await finish(original, in: fixture)
        let wanted = new("rerun:\(original.id):k", rerunOf: original.id)
        let id = try await create(wanted, in: fixture)
        #expect(try await fixture.store.createRun(wanted, actor: "bob") == .exists(id))
        #expect(try await fixture.store.reruns(of: original.id).map(\.id) == [id])
        let again = try #require(try await fixture.store.run(id))
        #expect(again.rerunOf == original.id && again.state == .queued)
    }

    @Test(arguments: StoreKind.allCases) func stepsTakenOverAreOverAndKeepTheirOrigin(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let original = try await fixture.run(steps: ["test", "package"])
        _ = try await fixture.store.move("test", of: original, from: .waiting, to: .running)
        _ = try await fixture.store.move("test", of: original, from: .running, to: .succeeded, exitCode: 0)
        try await finish(original, in: fixture)
        func again(_ run: Int64) async throws -> [NewStep] {
            try await fixture.store.steps(of: run).map {
                NewStep(name: $0.name, image: $0.image, dependsOn: $0.dependsOn, takenOver: $0.state == .succeeded ? $0 : nil)
            }
        }
        let second = try await create(new("2", rerunOf: original.id, steps: again(original.id)), in: fixture)
        let third = try await create(new("3", rerunOf: second, steps: again(second)), in: fixture)
        for run in [second, third] {
            let steps = try await fixture.store.steps(of: run)
            #expect(steps.map(\.state) == [.succeeded, .waiting])
            #expect(steps.map(\.takenFrom) == [original.id, nil])
        }
    }

    @Test(arguments: StoreKind.allCases) func runsOfAGroupQueueInOrder(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        let first = try await create(new("1", group: "g"), in: fixture)
        let second = try await create(new("2", group: "g"), in: fixture)
        let other = try await create(new("3", group: "h"), in: fixture)
        let third = try await create(new("4", group: "g"), in: fixture)
        let one = try #require(try await claim(fixture))
        #expect(one.id == first)
        #expect(try await claim(fixture)?.id == other)
        #expect(try await claim(fixture) == nil)
        // A server that dies does not let the next one in; its run is taken over.
        try await fixture.advance(10_001)
        let again = try #require(try await claim(fixture))
        #expect(again.id == first)
        try await finish(again, in: fixture)
        // Cancelling one that waits lets the one behind it move up.
        #expect(try await fixture.store.requestCancel(run: second, actor: "ada"))
        let next = try await fixture.store.claimRun(holder: "a", leaseSeconds: 100)
        #expect([next?.id, try await fixture.store.claimRun(holder: "a", leaseSeconds: 100)?.id].contains(third))
    }

    @Test(arguments: StoreKind.allCases) func aNewerRunTakesThePlaceOfOlderOnes(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        try await fixture.project()
        let running = try await create(new("1", group: "g"), in: fixture)
        let claimed = try #require(try await claim(fixture))
        let queued = try await create(new("2", group: "g"), in: fixture)
        let elsewhere = try await create(new("3", group: "h"), in: fixture)
        let newest = try await create(new("4", group: "g", supersedes: true), in: fixture)

        let first = try #require(try await fixture.store.run(running))
        #expect(first.state == .running && first.cancelRequested && first.supersededBy == newest)
        let second = try #require(try await fixture.store.run(queued))
        #expect(second.state == .cancelled && second.supersededBy == newest && second.finishedAt != nil)
        #expect(second.error == "superseded by run \(newest)")
        #expect(try await fixture.store.steps(of: queued).map(\.state) == [.cancelled])
        #expect(try await fixture.store.run(elsewhere)?.supersededBy == nil)
        let events = try await fixture.store.events(project: nil, run: queued, deployment: nil, limit: 10)
        #expect(events.first?.message == "superseded by run \(newest)" && events.first?.state == "cancelled")

        // Not before the older one is really over.
        #expect(try await claim(fixture)?.id == elsewhere)
        #expect(try await claim(fixture) == nil)
        try await finish(claimed, in: fixture)
        #expect(try await claim(fixture)?.id == newest)
    }

    @Test(arguments: StoreKind.allCases) func attemptsAreCountedOnce(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        let store = fixture.store
        func retry(after attempt: Int, epoch: Int64) async throws -> Bool {
            let again = StepChange("test", from: .running, attempt: attempt, to: .running, isRetry: true, message: "exit code 1")
            return try await store.advanceRun(run.id, epoch: epoch, by: RunChange(steps: [again]), release: nil)
        }
        #expect(try await retry(after: 1, epoch: run.epoch) == false)
        _ = try await store.move("test", of: run, from: .waiting, to: .running)
        let began = try #require(try await store.steps(of: run.id).first?.startedAt)
        try await fixture.advance(5_000)
        #expect(try await retry(after: 1, epoch: run.epoch))
        #expect(try await retry(after: 1, epoch: run.epoch) == false)
        #expect(try await retry(after: 2, epoch: run.epoch - 1) == false)
        let step = try #require(try await store.steps(of: run.id).first)
        #expect(step.attempt == 2 && step.state == .running && step.message == "exit code 1")
        #expect(try #require(step.startedAt) > began)
    }
}
