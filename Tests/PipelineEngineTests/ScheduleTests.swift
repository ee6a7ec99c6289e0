import ContainerRuntime
import DeliveryModel
import OCIModel
import PipelineFile
import StateSQLite
import StateStore
import Testing

@testable import PipelineEngine

/// Jobs by schedule: the engine over a real store with a clock the test moves.
@Suite struct ScheduleTests {
    private let job = ServiceJob(name: "cleanup", command: ["/bin/app", "cleanup"])

    private func cron(_ schedule: String = "*/30 * * * *", overlaps: Bool = false) throws -> CronJob {
        CronJob(job, schedule: try CronSchedule(schedule), overlaps: overlaps)
    }

    /// A release is live in dev from now on.
    private func goLive(_ fixture: EngineFixture, _ cron: [CronJob], run id: String = "1") async throws -> Deployment {
        try await fixture.queueRun(id)
        let run = try #require(try await fixture.store.claimRun(holder: "test", leaseSeconds: 10))
        let service = ServiceDefinition(port: 80, cron: cron)
        let stages = [StagePlan(name: "dev")]
        let new = NewRelease(
            image: "shop/gtin", digest: .sha256(Array(id.utf8)), service: service,
            stages: String(decoding: try OCIJSON.encode(stages), as: UTF8.self),
            deployments: [try fixture.engine.newDeployment(to: stages[0], of: service, kind: "automatic", by: "slipway")])
        #expect(try await fixture.store.advanceRun(run.id, epoch: run.epoch, by: RunChange(end: RunEnd(.succeeded)), release: new))
        let claimed = try #require(try await fixture.store.claimDeployment(holder: "test", leaseSeconds: 10))
        #expect(
            try await fixture.store.advanceDeployment(
                claimed.id, epoch: claimed.epoch, by: DeploymentChange(from: claimed.phase, to: .succeeded)))
        return claimed
    }

    private func jobs(_ fixture: EngineFixture) async throws -> [Job] {
        try await fixture.engine.fireSchedules()
        return try await fixture.store.jobs(JobFilter(project: "gtin"), limit: 50).reversed()
    }

    /// Ends the oldest job that is open.
    private func end(_ fixture: EngineFixture) async throws {
        let job = try #require(try await fixture.store.claimJob(holder: "test", leaseSeconds: 10))
        #expect(try await fixture.store.advanceJob(job.id, epoch: job.epoch, by: JobChange(from: .queued, to: .failed)))
    }

    @Test func aTimeFiresOnceInWhatIsLive() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        // 1,800,000,000 is a multiple of 30 minutes.
        #expect(try await jobs(fixture).isEmpty)
        let live = try await goLive(fixture, [try cron()])
        #expect(try await jobs(fixture).isEmpty)
        fixture.advance(1799)
        #expect(try await jobs(fixture).isEmpty)
        fixture.advance(1)
        for _ in 0..<3 { #expect(try await jobs(fixture).map(\.scheduledFor) == [1_800_001_800]) }
        let first = try #require(try await jobs(fixture).first)
        #expect(first.deployment == live.id && first.digest == live.digest && first.kind == .cron && first.command == job.command)
        // It has not ended when the next time comes: that one is skipped, and known so.
        fixture.advance(1800)
        #expect(try await jobs(fixture).map(\.state) == [.queued, .skipped])
        try await end(fixture)
        fixture.advance(1800)
        #expect(try await jobs(fixture).map(\.state) == [.failed, .skipped, .queued])
    }

    @Test func whatWasMissedIsMadeUpForOnce() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        _ = try await goLive(fixture, [try cron()])
        fixture.advance(1800)
        #expect(try await jobs(fixture).count == 1)
        try await end(fixture)
        // No server looked for ten hours and a bit.
        fixture.advance(36_000 + 60)
        #expect(try await jobs(fixture).map(\.scheduledFor) == [1_800_001_800, 1_800_037_800])
        try await end(fixture)
        #expect(try await jobs(fixture).count == 2)
        // The next release goes on with the schedule, and does not repeat what was done; one without it ends it.
        let next = try await goLive(fixture, [try cron()], run: "2")
        #expect(try await jobs(fixture).count == 2)
        fixture.advance(1800)
        #expect(try await jobs(fixture).last?.deployment == next.id)
        try await end(fixture)
        _ = try await goLive(fixture, [], run: "3")
        fixture.advance(36_000)
        #expect(try await jobs(fixture).count == 3)
    }

    @Test func onesThatMayOverlapDo() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        _ = try await goLive(fixture, [try cron(overlaps: true)])
        for _ in 0..<2 {
            fixture.advance(1800)
            _ = try await jobs(fixture)
        }
        #expect(try await jobs(fixture).map(\.state) == [.queued, .queued])
    }

    @Test func aPersonStartsOne() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        let place = StageName(project: "gtin", pipeline: "main", stage: "dev")
        await #expect(throws: EngineError.self) { try await fixture.engine.runScheduled("cleanup", in: place, by: "ann") }
        _ = try await goLive(fixture, [try cron()])
        let job = try await fixture.engine.runScheduled("cleanup", in: place, by: "ann")
        #expect(job.kind == .manual && job.actor == "ann" && job.state == .queued && job.scheduledFor == nil)
        // The schedule does not count it, but waits for its end.
        fixture.advance(1800)
        #expect(try await jobs(fixture).map(\.state) == [.queued, .skipped])
        for name in ["cleanup", "clean"] {
            await #expect(throws: EngineError.self) { try await fixture.engine.runScheduled(name, in: place, by: "ann") }
        }
        let ledger = try await fixture.store.newestLedger(project: "gtin", limit: 10).map(\.entry).filter { $0.kind == .command }
        #expect(ledger.map(\.remark) == ["job cleanup"] && ledger.first?.actor == "ann")
    }

    @Test func oldLogsAndJobsGo() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        _ = try await goLive(fixture, [try cron()])
        for number in 1...2 {
            fixture.advance(1800)
            _ = try await jobs(fixture)
            let job = try #require(try await fixture.store.claimJob(holder: "test", leaseSeconds: 10))
            for (from, to) in [(JobState.queued, JobState.starting), (.starting, .running), (.running, .succeeded)] {
                #expect(try await fixture.store.advanceJob(job.id, epoch: job.epoch, by: JobChange(from: from, to: to)))
            }
            try FileSystem.append(
                "2027-01-01T00:00:00Z stdout F \(String(repeating: "x", count: number * 3000))\n", to: fixture.engine.jobLog(job.id))
        }
        try FileSystem.append("of no job\n", to: fixture.engine.jobLog(77))
        try await fixture.engine.pruneJobs(removes: true)
        #expect(try FileSystem.names(in: fixture.engine.jobsFolder).sorted() == ["1.log", "2.log.zst"])
        let second = try #require(try await fixture.store.job(2))
        #expect(try await fixture.engine.log(ofJob: second).lines(from: 0, limit: 10).first?.text.count == 6000)
        fixture.advance(91 * 86_400)
        try await fixture.engine.pruneJobs(removes: false)
        #expect(try FileSystem.names(in: fixture.engine.jobsFolder).count == 2)
        try await fixture.engine.pruneJobs(removes: true)
        #expect(try FileSystem.names(in: fixture.engine.jobsFolder).isEmpty)
        #expect(try await fixture.store.jobs(JobFilter(), limit: 10).map(\.id) == [2])
        #expect(try await fixture.engine.log(ofJob: second).removedAfter == 90 * 86_400)
    }
}
