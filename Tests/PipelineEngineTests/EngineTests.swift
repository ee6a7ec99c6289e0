import Foundation
import Testing

@testable import PipelineEngine

@Suite struct ScriptTests {
    /// The script is what `sh -e -c` gets: run it.
    private func run(_ commands: [String]) throws -> (output: String, status: Int32) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-e", "-c", PipelineEngine.script(commands)]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (String(decoding: data, as: UTF8.self), process.terminationStatus)
    }

    @Test func commandsArePrintedAndRun() throws {
        let result = try run(["echo 'it''s'", "echo $((1 + 1))"])
        #expect(result.output == "+ echo 'it''s'\nits\n+ echo $((1 + 1))\n2\n")
        #expect(result.status == 0)
    }

    @Test func theFirstFailureEndsTheStep() throws {
        let result = try run(["false", "echo never"])
        #expect(result.output == "+ false\n")
        #expect(result.status == 1)
    }

    @Test func commandsOfSeveralLinesAndQuotesSurvive() throws {
        let result = try run(["if true; then\n  printf '%s\\n' \"a'b\"\nfi"])
        #expect(result.output.hasSuffix("a'b\n"))
    }
}

@Suite struct MaskTests {
    @Test(arguments: [
        ("s3cr/t+\"x\"", "s3cr/t+\"x\""), ("s3cr/t+\"x\"", "czNjci90KyJ4Ig=="), ("s3cr/t+\"x\"", "s3cr%2Ft%2B%22x%22"),
        ("s3cr/t+\"x\"", "s3cr\\/t+\\\"x\\\""),
    ])
    func everyFormIsKnown(_ secret: String, _ form: String) { #expect(MaskedLog.forms(of: secret).contains(form)) }

    @Test func shortSecretsAreNotMasked() { #expect(MaskedLog.forms(of: "ab").allSatisfy { $0.count >= 4 }) }
}

@Suite struct BellTests {
    @Test(.timeLimit(.minutes(1))) func aRingBeforeTheWaitIsNotLost() async {
        let bell = Bell()
        let heard = bell.count
        bell.ring()
        await bell.wait(after: heard, atMost: .seconds(600))
        #expect(bell.count == heard + 1)
    }

    @Test(.timeLimit(.minutes(1))) func waitersWakeTogether() async {
        let bell = Bell()
        let heard = bell.count
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 { group.addTask { await bell.wait(after: heard, atMost: .seconds(600)) } }
            group.addTask { bell.ring() }
        }
        #expect(bell.count == heard + 1)
    }
}
