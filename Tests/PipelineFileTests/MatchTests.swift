import PipelineFile
import Testing

@Suite struct MatchTests {
    @Test(arguments: [
        ("main", "main", true), ("main", "mainly", false), ("release/*", "release/1", true),
        ("release/*", "release/1/2", false), ("release/**", "release/1/2", true), ("release/**", "release", false),
        ("**", "a/b/c", true), ("**", "", true), ("*", "", true), ("*", "a/b", false),
        ("**/x.go", "x.go", true), ("**/x.go", "a/b/x.go", true), ("**/x.go", "a/bx.go", false),
        ("docs/**/*.md", "docs/a.md", true), ("docs/**/*.md", "docs/a/b/c.md", true),
        ("docs/**/*.md", "docs/a/b/c.txt", false), ("v?.?", "v1.2", true), ("v?.?", "v1/2", false),
        ("a?c", "a/c", false), ("a**c", "a/b/c", true), ("*.swift", "a.swift", true), ("a[b", "a[b", true),
        ("?", "é", true), ("", "", true), ("", "a", false), ("a/**/b/**/c", "a/b/c", true),
        ("a/**/b/**/c", "a/x/b/y/z/c", true), ("a/**/b/**/c", "a/x/y/z/c", false),
    ])
    func globs(pattern: String, text: String, expected: Bool) {
        #expect(Glob(pattern).matches(text) == expected)
    }

    @Test func aHostilePatternTakesBoundedTime() {
        let pattern = String(repeating: "*a**a", count: 60) + "b"
        let text = String(repeating: "a", count: 3000)
        let clock = ContinuousClock()
        let time = clock.measure { #expect(!Glob(pattern).matches(text)) }
        #expect(time < .seconds(60))
    }

    private func plan(_ when: String) throws -> PipelinePlan {
        try PipelineParser.parse("when: \(when)\nsteps: [{name: a, image: i, commands: [x]}]", file: "p.yaml")
    }

    @Test func anEntryNeedsAllItsConditionsAndOneEntryIsEnough() throws {
        let plan = try plan("[{event: push, branch: main, path: 'src/**'}, {event: tag}]")
        #expect(plan.matches(event: .push, branch: "main", changedPaths: ["src/a", "b"]) == .matches)
        #expect(
            plan.matches(event: .push, branch: "dev", changedPaths: ["src/a"])
                == .skipped(reason: "branch dev is filtered out; event push is not tag"))
        #expect(
            plan.matches(event: .push, branch: "main", changedPaths: ["b"])
                == .skipped(reason: "none of the 1 changed paths is wanted; event push is not tag"))
        #expect(plan.matches(event: .push, branch: "main", changedPaths: nil) == .matches)
        #expect(plan.matches(event: .push, branch: "main", changedPaths: []) == .matches)
        #expect(plan.matches(event: .tag, branch: nil, changedPaths: nil) == .matches)
    }

    @Test func branchFiltersDoNotApplyToTags() throws {
        let plan = try plan("{event: [push, tag], branch: main}")
        #expect(plan.matches(event: .tag, branch: nil, changedPaths: nil) == .matches)
        #expect(plan.matches(event: .push, branch: "x", changedPaths: nil) != .matches)
    }

    @Test func excludeWins() throws {
        let plan = try plan("{branch: {include: ['*'], exclude: [wip, 'old/*']}, path: {exclude: docs/**}}")
        #expect(plan.matches(event: .push, branch: "main", changedPaths: ["docs/a", "b"]) == .matches)
        #expect(plan.matches(event: .push, branch: "main", changedPaths: ["docs/a"]) != .matches)
        #expect(plan.matches(event: .push, branch: "wip", changedPaths: nil) != .matches)
        #expect(plan.matches(event: .manual, branch: "main", changedPaths: ["docs/a"]) == .matches)
    }

    @Test func withoutWhenAPipelineRunsForPushesAndByHand() throws {
        let plan = try PipelineParser.parse("steps: [{name: a, image: i, commands: [x]}]", file: "p.yaml")
        #expect(plan.matches(event: .push, branch: "any", changedPaths: nil) == .matches)
        #expect(plan.matches(event: .manual, branch: "any", changedPaths: nil) == .matches)
        #expect(
            plan.matches(event: .pullRequest, branch: "main", changedPaths: nil)
                == .skipped(reason: "event pull_request is not push, manual"))
    }
}
