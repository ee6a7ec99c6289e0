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

    @Test(arguments: [
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
