import Testing

@testable import Containerfile

/// Lines, directives, continuations, places.
@Suite struct LineTests {
    @Test func readsDirectives() throws {
        let file = try Text.parse("#syntax = docker/dockerfile:1.7-labs\n# ESCAPE=`\n# check=skip=all;error=true\n\nFROM a`\n  AS x\n")
        #expect(file.directives == Directives(syntax: "docker/dockerfile:1.7-labs", escape: .backtick, check: "skip=all;error=true"))
        #expect(file.stages.map(\.name) == ["x"])
    }

    @Test(arguments: [
        "# a comment\n# escape=`\nFROM a", "\n# escape=`\nFROM a", "# unknown=x\n# escape=`\nFROM a", "#!/usr/bin/env x\n# escape=`\nFROM a",
    ])
    func directivesStandOnTop(_ text: String) throws {
        let file = try Text.parse(text)
        #expect(file.directives.escape == .backslash)
        #expect(file.warnings.count == 1)
        #expect(file.warnings.first?.message == "'escape' is a comment here: a directive stands above all other lines")
    }

    @Test(arguments: ["docker/dockerfile", "docker.io/docker/dockerfile:1@sha256:abc", "docker/dockerfile-upstream:master"])
    func knowsTheStandardFrontends(_ name: String) throws {
        #expect(try Text.parse("# syntax=\(name)\nFROM a").directives.syntax == name)
    }

    @Test func joinsLines() throws {
        let text = "\u{FEFF}FROM a\r\nENV A=1 \\ \t\r\n  # comment \\\r\n\r\n B=2\r\n  CMD x \\\n"
        let file = try Text.parse(text)
        let instructions = file.stages[0].instructions
        #expect(instructions.map(\.text) == ["ENV A=1  B=2", "CMD x"])
        #expect(instructions.map(\.location) == [SourceRange(first: 2, last: 5), SourceRange(first: 6, last: 6)])
        guard case .environment(let pairs) = instructions[0].kind else { throw Failure() }
        #expect(pairs[1].key.line == 5)
        #expect(pairs[1].key.column == 2)
        #expect(pairs[1].value.column == 4)
        #expect(file.warnings.compactMap(\.check) == [.noEmptyContinuation, .jsonArgsRecommended])
        #expect(file.warnings.first?.line == 4)
    }

    @Test func anEscapedEscapeDoesNotJoin() throws {
        let file = try Text.parse("FROM a\nRUN echo a\\\\\nRUN echo b\\\n\\\n  c\n")
        #expect(file.stages[0].instructions.map(\.text) == ["RUN echo a\\\\", "RUN echo b  c"])
    }

    @Test func readsSeveralHeredocs() throws {
        let file = try Text.parse("FROM a\nRUN <<A cat - <<B\n# no comment\nA\nRUN no\\\nB\nUSER x\n")
        #expect(file.stages[0].instructions.map(\.text) == ["RUN <<A cat - <<B", "USER x"])
        #expect(file.stages[0].instructions[0].location == SourceRange(first: 2, last: 6))
        guard case .run(let run) = file.stages[0].instructions[0].kind else { throw Failure() }
        #expect(run.command == .shell("<<A cat - <<B\n# no comment\nA\nRUN no\\\nB"))
    }

    @Test func mistakesInsideHeredocsHaveTheirPlace() throws {
        let error = try Text.error("FROM a\nCOPY <<E /y\nfirst\n  ${B!x}\nE\n")
        #expect(error.diagnostics.first?.line == 4)
        #expect(error.diagnostics.first?.column == 3)
    }

    @Test func keepsLineEndsInHeredocs() throws {
        let file = try Text.parse("FROM a\r\nRUN <<E\r\na\r\nb\r\nE\r\n")
        guard case .run(let run) = file.stages[0].instructions[0].kind else { throw Failure() }
        #expect(run.command == .shell("a\r\nb\r\n"))
        #expect(file.stages[0].instructions[0].location == SourceRange(first: 2, last: 5))
    }

    @Test func warns() throws {
        let text = """
            MAINTAINER me
            ENV old form
            label a=1
            WORKDIR rel
            CMD a
            CMD ["b"]
            ARG API_TOKEN
            EXPOSE 80/TCP
            RUN ['x']
            """
        let file = try Text.parse("FROM $nope as Up\n" + text)
        #expect(
            file.warnings.map { $0.check?.rawValue ?? "-" } == [
                "StageNameCasing", "FromAsCasing", "UndefinedArgInFrom", "MaintainerDeprecated", "LegacyKeyValueFormat",
                "ConsistentInstructionCasing", "WorkdirRelativePath", "JSONArgsRecommended", "MultipleInstructionsDisallowed",
                "SecretsUsedInArgOrEnv", "ExposeProtoCasing", "-",
            ])
        #expect(file.warnings.allSatisfy { $0.severity == .warning && $0.suggestion?.isEmpty != true })
        #expect(file.warnings[3].description.hasPrefix("Containerfile:2:1: warning: MAINTAINER is deprecated [MaintainerDeprecated]\n"))
        let skipped = try Text.parse("# check=skip=MaintainerDeprecated\nFROM a\nMAINTAINER me\nENV a b")
        #expect(skipped.warnings.map(\.check) == [.legacyKeyValueFormat])
        let strict = try Text.error("# check=error=true\nFROM a\nMAINTAINER me")
        #expect(strict.diagnostics.map(\.severity) == [.error])
    }

    private struct Failure: Error {}
}
