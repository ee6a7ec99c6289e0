import Testing

@testable import PipelineFile

@Suite struct PathTests {
    private func file(_ stages: String) -> String { "build: {image: a}\nservice: {port: 80}\nstages: [\(stages)]" }

    private func mistakes(_ stages: String) -> [String] {
        do { _ = try PipelineParser.parse(file(stages), file: "a.yaml") } catch { return error.diagnostics.map(\.message) }
        return []
    }

    @Test func pathsAreRead() throws {
        let stages = try PipelineParser.parse(
            file(
                "{name: a, host: x.y, path: /api, strip_prefix: true}, {name: b, host: x.y, paths: [/c, /d/e], legacy: 'http://[::1]:9000/'}, {name: c, path: /}"
            ),
            file: "a.yaml"
        ).stages
        #expect(stages[0].paths == ["/api"] && stages[0].stripPrefix == true && stages[0].legacy == nil)
        #expect(stages[1].paths == ["/c", "/d/e"] && stages[1].legacy == LegacyPlan(address: "::1", port: 9000))
        #expect(stages[2].paths == nil)
        #expect(
            try PipelineParser.parse(file("{name: a, path: /b, legacy: 'http://127.0.0.1'}"), file: "a.yaml").stages[0].legacy
                == LegacyPlan(address: "127.0.0.1", port: 80))
    }

    @Test(arguments: [
        ("{name: a, path: api}", "'api' is not the beginning of a path"), ("{name: a, path: /api/}", "'/api/' is not the beginning of a path"),
        ("{name: a, path: '/a b'}", "'/a b' is not the beginning of a path"), ("{name: a, paths: [/b, /b]}", "the path /b is there twice"),
        ("{name: a, paths: [/, /b]}", "'/' stands for all paths"), ("{name: a, paths: []}", "there are 1 to 50 paths"),
        ("{name: a, strip_prefix: true}", "the stage has all paths, so there is no prefix"),
        ("{name: a, legacy: 'http://127.0.0.1:1'}", "the stage has all paths, so nothing is left for 'legacy'"),
        ("{name: a, path: /b, legacy: 'https://127.0.0.1:1'}", "'https://127.0.0.1:1' is not where a router can send requests"),
        ("{name: a, path: /b, legacy: 'http://old.example.com'}", "'http://old.example.com' is not where a router can send requests"),
        ("{name: a, path: /b, legacy: 'http://127.0.0.1:1/x'}", "'http://127.0.0.1:1/x' is not where a router can send requests"),
        ("{name: a, host: x.y, path: /b}, {name: c, host: x.y, path: /b}", "stage 'a' has x.y/b too"),
        ("{name: a, host: x.y, path: /b, legacy: 'http://127.0.0.1:1'}, {name: c, host: x.y}", "stage 'a' has the same host"),
        ("{name: a, path: /b, paths: [/c]}", "'paths' and 'path' mean the same"),
    ])
    func mistakesAreTold(stages: String, message: String) {
        #expect(mistakes(stages) == [message])
    }
}
