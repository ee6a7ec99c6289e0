import DeliveryModel
import Testing

@testable import PipelineFile

struct JobTests {
    private static func text(_ service: String) -> String {
        """
        build: {image: shop/web, copy: [{from: a, to: /a}]}
        service: {port: 80, \(service)}
        stages: [{name: dev}]
        """
    }

    @Test func jobsArrive() throws {
        let text = Self.text(
            """
            jobs: {
              before: [{name: migrate, command: [/bin/app, migrate, ""], timeout: 30m, limits: {memory: 1GiB}, on_rollback: true}],
              after: [{name: warm-up, command: [/bin/app, warm]}]}
            """)
        let jobs = try #require(try PipelineParser.parse(text, file: "p.yaml").service?.jobs)
        let migrate = ServiceJob(
            name: "migrate", command: ["/bin/app", "migrate", ""], timeout: 1800, limits: ResourceLimits(memoryBytes: 1 << 30), onRollback: true)
        #expect(jobs.before == [migrate])
        #expect(jobs.after == [ServiceJob(name: "warm-up", command: ["/bin/app", "warm"])])
        #expect(jobs.job("migrate", .before) == migrate && jobs.job("migrate", .after) == nil)
        #expect(try PipelineParser.parse(Self.text("replicas: 1"), file: "p.yaml").service?.jobs == nil)
    }

    @Test func schedulesArrive() throws {
        let text = Self.text(
            #"cron: [{name: a, schedule: "*/30 * * * *", command: [b]}, {name: c, schedule: "0 3 * * *", tz: Europe/Berlin, command: [d], overlap: allow}]"#
        )
        let cron = try #require(try PipelineParser.parse(text, file: "p.yaml").service?.cron)
        #expect(cron.map(\.job.name) == ["a", "c"] && cron.map(\.overlaps) == [false, true])
        #expect(cron.map(\.schedule.description) == ["*/30 * * * * UTC", "0 3 * * * Europe/Berlin"])
        // 1970-01-01 00:00 is one of its times.
        #expect(cron[0].due(at: 1799, after: -1) == 0 && cron[0].due(at: 1799, after: 0) == nil)
        #expect(cron[0].due(at: 9000, after: 0) == 9000)
    }

    @Test(arguments: [
        ("cron: []", "'cron' has no entry"), ("cron: [{name: a, command: [b]}]", "has no 'schedule'"),
        (#"cron: [{name: a, schedule: "61 * * * *", command: [b]}]"#, "not a minute"),
        (#"cron: [{name: a, schedule: "1 * * * *", command: [b], tz: Mars/Base}]"#, "no time zone"),
        (#"cron: [{name: a, schedule: "1 * * * *", command: [b], overlap: perhaps}]"#, "overlap 'perhaps' is unknown"),
        (#"cron: [{name: a, schedule: "1 * * * *", command: [b]}, {name: a, schedule: "1 * * * *", command: [b]}]"#, "two jobs 'a'"),
        ("jobs: {before: []}", "'before' has no entry"), ("jobs: {during: []}", "unknown key 'during'"),
        ("jobs: {before: [{name: a}]}", "has no 'command'"), ("jobs: {before: [{command: [a]}]}", "has no 'name'"),
        ("jobs: {before: [{name: a, command: run it}]}", "no shell splits words"),
        ("jobs: {before: [{name: a, command: []}]}", "names no program"),
        ("jobs: {before: [{name: a, command: ['']}]}", "names no program"),
        ("jobs: {before: [{name: A b, command: [a]}]}", "is not a job name"),
        ("jobs: {before: [{name: a, command: [b]}], after: [{name: a, command: [c]}]}", "two jobs 'a'"),
        ("jobs: {before: [{name: a, command: [b], timeout: 2d}]}", "out of range"),
        ("jobs: {before: [{name: a, command: [b], on_rollback: perhaps}]}", "true or false"),
    ])
    func mistakesAreNamed(text: String, message: String) throws {
        do {
            _ = try PipelineParser.parse(Self.text(text), file: "p.yaml")
            Issue.record("\(text) was taken")
        } catch {
            #expect("\(error)".contains(message), "\(error)")
        }
    }
}
