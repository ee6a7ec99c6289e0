import Testing

@testable import PipelineFile

@Suite struct ConcurrencyTests {
    private func parse(_ head: String, step: String = "") throws -> PipelinePlan {
        try PipelineParser.parse("\(head)\nsteps: [{name: a, image: i, commands: [x]\(step)}]\n", file: "pipelines/a.yaml")
    }

    private func problems(_ head: String, step: String = "") -> [String] {
        do {
            _ = try parse(head, step: step)
            return []
        } catch let error as PipelineError {
            return error.diagnostics.map { "\($0.message) = \($0.suggestion ?? "")" }
        } catch { return ["\(error)"] }
    }

    @Test func aGroupIsANameOrAMapping() throws {
        #expect(try parse("").concurrency == nil)
        #expect(try parse("concurrency: deploy").concurrency == ConcurrencyPlan(group: "deploy"))
        #expect(
            try parse("concurrency: {group: 'g-{branch}', cancel: true}").concurrency
                == ConcurrencyPlan(group: "g-{branch}", cancel: true))
    }

    @Test func branchAndEventAreFilledInOnce() {
        let plan = ConcurrencyPlan(group: "{event}/{branch}!")
        #expect(plan.name(branch: "main", event: "push") == "push/main!")
        #expect(plan.name(branch: "{event}", event: "push") == "push/{event}!")
        #expect(ConcurrencyPlan(group: "g").name(branch: "main", event: "push") == "g")
    }

    @Test(arguments: [
        ("concurrency: {cancel: true}", "concurrency has no 'group' = add group: …"),
        ("concurrency: {group: a, limit: 1}", "unknown key 'limit' in concurrency = known keys: group, cancel"),
        ("concurrency: {group: a, cancel: yes}", "cancel is true or false = write true or false, without quotes"),
        ("concurrency: a-{brunch}", "concurrency has the unknown part '{brunch}' = did you mean '{branch}'?"),
        ("concurrency: 'a}'", "concurrency has a brace without its other half = write {branch} or {event}"),
        ("concurrency: {branch}", "unknown key 'branch' in concurrency = known keys: group, cancel"),
    ])
    func mistakes(text: String, problem: String) { #expect(problems(text).contains(problem), "\(problems(text))") }

    @Test func retriesAreBounded() throws {
        #expect(try parse("").steps.first?.retries == 0)
        #expect(try parse("", step: ", retries: 10").steps.first?.retries == 10)
        #expect(problems("", step: ", retries: 11") == ["retries is out of range: 11 = it is a number from 0 to 10"])
    }
}
