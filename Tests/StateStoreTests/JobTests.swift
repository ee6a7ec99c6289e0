import DeliveryModel
import OCIModel
import StateStore
import Testing

@Suite struct JobTests {
    private let migrate = ServiceJob(name: "migrate", command: ["/bin/app", "ü'"], timeout: 30, limits: ResourceLimits(memoryBytes: 1 << 30))

    /// A deployment that is under way.
    private func deployment(_ fixture: Fixture) async throws -> Deployment {
        _ = try await fixture.release(try await fixture.run(), digest: .sha256([1]))
        return try #require(try await fixture.store.claimDeployment(holder: "a", leaseSeconds: 10_000))
    }

    private func created(_ creation: JobCreation) throws -> Int64 {
        guard case .created(let id) = creation else { throw CancellationError() }
        return id
    }

    @Test(arguments: StoreKind.allCases) func aJobIsCarriedToItsEnd(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        let deployment = try await deployment(fixture)
        let cause = NewJob.cause(deployment: deployment.id, .before, "migrate")
        let new = NewJob(cause: cause, deployment: deployment.id, epoch: deployment.epoch, kind: .before, job: migrate)
        let id = try created(try await store.createJob(new))
        #expect(try await store.createJob(new) == .exists(id))
        let queued = try #require(try await store.job(cause: cause))
        #expect(queued.id == id && queued.state == .queued && queued.command == migrate.command && queued.timeout == 30)
        #expect(queued.limits == migrate.limits && queued.actor == "slipway" && queued.digest == deployment.digest && queued.stage == "dev")
        let claimed = try #require(try await store.claimJob(holder: "a", leaseSeconds: 10_000))
        #expect(claimed.id == id && claimed.epoch == 1 && claimed.startedAt == nil)
        #expect(try await store.claimJob(holder: "b", leaseSeconds: 10_000) == nil)
        #expect(try await store.advanceJob(id, epoch: 1, by: JobChange(from: .queued, to: .starting)))
        // The state is not any more what it was, or the holder another one.
        #expect(try await store.advanceJob(id, epoch: 1, by: JobChange(from: .queued, to: .starting)) == false)
        #expect(try await store.advanceJob(id, epoch: 0, by: JobChange(from: .starting, to: .running)) == false)
        #expect(try await store.advanceJob(id, epoch: 1, by: JobChange(from: .starting, to: .running)))
        #expect(try await store.removeProject("gtin") == .busy)
        try await fixture.advance(20_000)
        let again = try #require(try await store.claimJob(holder: "b", leaseSeconds: 10_000))
        #expect(again.id == id && again.epoch == 2 && again.state == .running && again.startedAt != nil)
        #expect(try await store.renewJob(id, epoch: 1, leaseSeconds: 1) == false)
        #expect(try await store.renewJob(id, epoch: 2, leaseSeconds: 10_000))
        #expect(try await store.advanceJob(id, epoch: 2, by: JobChange(from: .running, to: .stopping, endsAs: .failed, message: "timed out")))
        #expect(
            try await store.advanceJob(id, epoch: 2, by: JobChange(from: .stopping, to: .failed, exitCode: 137, logTail: "last\nwords")))
        let over = try #require(try await store.job(id))
        #expect(over.state == .failed && over.endsAs == .failed && over.message == "timed out" && over.exitCode == 137)
        #expect(over.logTail == "last\nwords" && over.finishedAt != nil)
        #expect(try await store.claimJob(holder: "a", leaseSeconds: 1) == nil)
        #expect(try await store.requestCancel(job: id, actor: "ada") == false)
        // Its end frees nothing: the cause has had its job.
        #expect(try await store.createJob(new) == .exists(id))
    }

    @Test(arguments: StoreKind.allCases) func whoLostTheDeploymentCreatesNothing(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let deployment = try await deployment(fixture)
        func create(_ epoch: Int64?, _ id: Int64) async throws -> JobCreation {
            try await fixture.store.createJob(NewJob(deployment: id, epoch: epoch, kind: .before, job: migrate))
        }
        #expect(try await create(deployment.epoch - 1, deployment.id) == .refused)
        #expect(try await create(nil, 999) == .refused)
        _ = try created(try await create(deployment.epoch, deployment.id))
        #expect(
            try await fixture.store.advanceDeployment(
                deployment.id, epoch: deployment.epoch, by: DeploymentChange(from: .queued, to: .failed)))
        #expect(try await create(deployment.epoch, deployment.id) == .refused)
    }

    @Test(arguments: StoreKind.allCases) func aScheduleFiresOnceForManyServers(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let deployment = try await deployment(fixture)
        let new = NewJob(
            cause: "cron/gtin/main/dev/cleanup/60", deployment: deployment.id, kind: .cron, job: migrate, scheduledFor: 60, isAlone: true)
        let ids = try await withThrowingTaskGroup(of: JobCreation.self) { group in
            for server in try await fixture.servers(4) { group.addTask { try await server.createJob(new) } }
            return try await group.reduce(into: [JobCreation]()) { $0.append($1) }
        }
        #expect(ids.count { if case .created = $0 { true } else { false } } == 1)
        #expect(try await fixture.store.jobs(JobFilter(), limit: 10).map(\.scheduledFor) == [60])
    }

    @Test(arguments: StoreKind.allCases) func oneThatIsToBeAloneIsSkipped(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        let deployment = try await deployment(fixture)
        func create(_ kind: Job.Kind, isAlone: Bool = true) async throws -> Job {
            let id = try created(try await store.createJob(NewJob(deployment: deployment.id, kind: kind, job: migrate, isAlone: isAlone)))
            guard let job = try await store.job(id) else { throw CancellationError() }
            return job
        }
        #expect(try await create(.exec, isAlone: false).state == .queued)
        let first = try await create(.cron)
        #expect(first.state == .queued)
        let second = try await create(.manual)
        #expect(second.state == .skipped && second.message == NewJob.overlap(with: first.id) && second.finishedAt != nil)
        #expect(try await create(.cron, isAlone: false).state == .queued)
        for job in try await store.jobs(JobFilter(project: "gtin"), limit: 10) where job.finishedAt == nil {
            #expect(try await store.requestCancel(job: job.id, actor: "ada"))
            let ended = try #require(try await store.job(job.id))
            #expect(ended.state == .cancelled && ended.cancelledBy == "ada" && ended.message == "cancelled by ada")
        }
        #expect(try await create(.manual).state == .queued)
    }

    @Test(arguments: StoreKind.allCases) func historyGoesAndTheLastTimesStay(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        let deployment = try await deployment(fixture)
        func create(_ kind: Job.Kind, _ name: String, at time: Double?) async throws -> Int64 {
            let job = ServiceJob(name: name, command: ["a"])
            let id = try created(try await store.createJob(NewJob(deployment: deployment.id, kind: kind, job: job, scheduledFor: time)))
            #expect(try await store.requestCancel(job: id, actor: "ada"))
            return id
        }
        let ids = [
            try await create(.cron, "a", at: 60), try await create(.cron, "a", at: 120), try await create(.cron, "b", at: 30),
            try await create(.manual, "a", at: nil), try await create(.exec, "c", at: nil), try await create(.before, "d", at: nil),
        ]
        #expect(try await store.schedules(project: "gtin", pipeline: "main", stage: "dev") == ["a": 120, "b": 30])
        #expect(try await store.schedules(project: "gtin", pipeline: "main", stage: "prod").isEmpty)
        try await store.removeJobs(endedBefore: 10)
        #expect(try await store.jobs(JobFilter(), limit: 10).count == 6)
        try await store.removeJobs(endedBefore: 1e11)
        #expect(try await store.jobs(JobFilter(), limit: 10).map(\.id) == [ids[5], ids[2], ids[1]])
        #expect(try await store.schedules(project: "gtin", pipeline: "main", stage: "dev") == ["a": 120, "b": 30])
    }

    @Test(arguments: StoreKind.allCases) func jobsAreFoundByWhereTheyRan(_ kind: StoreKind) async throws {
        let fixture = try await Fixture(kind)
        let store = fixture.store
        let deployment = try await deployment(fixture)
        let first = try created(
            try await store.createJob(NewJob(deployment: deployment.id, kind: .exec, job: migrate, actor: "ada", remark: "/bin/app ***")))
        let second = try created(try await store.createJob(NewJob(deployment: deployment.id, kind: .after, job: migrate)))
        #expect(try await store.jobs(JobFilter(project: "gtin", pipeline: "main", stage: "dev"), limit: 10).map(\.id) == [second, first])
        #expect(try await store.jobs(JobFilter(deployment: deployment.id), limit: 1).map(\.id) == [second])
        #expect(try await store.jobs(ofDeployment: deployment.id).map(\.id) == [second])
        #expect(try await store.jobs(JobFilter(stage: "prod"), limit: 10).isEmpty)
        let entry = try #require(try await store.newestLedger(project: "gtin", limit: 1).first?.entry)
        #expect(entry.kind == .command && entry.actor == "ada" && entry.stage == "dev" && entry.remark == "/bin/app ***")
        // What a claim is given back with is due at once; what is over is not.
        #expect(try await store.claimJob(holder: "a", leaseSeconds: 10_000)?.id == first)
        try await store.releaseLeases(holder: "a", orderly: true)
        #expect(try await store.claimJob(holder: "b", leaseSeconds: 10_000)?.id == first)
        // A running one gets to know that it is to end; its holder ends it.
        #expect(try await store.advanceJob(first, epoch: 2, by: JobChange(from: .queued, to: .starting)))
        #expect(try await store.requestCancel(job: first, actor: "bob"))
        let asked = try #require(try await store.job(first))
        #expect(asked.state == .starting && asked.cancelledBy == "bob" && asked.finishedAt == nil)
    }
}
