import ArgumentParser
import Foundation
import NIOHTTP1
import WebServer

struct Runs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List runs, newest first.", discussion: "Example: slipway runs gtin --limit 5")
    @Argument(help: "Only this project's.") var project: String?
    @Option(help: "How many, at most 500.") var limit = 20
    @Flag(help: "Print one JSON document.") var json = false

    func run() async throws {
        let filter = project.map { "&project=\(segment($0))" } ?? ""
        let runs: [RunValue] = try await Client().get("/runs?limit=\(limit)\(filter)")
        if json { return try printJSON(runs) }
        printTable(
            [["RUN", "PROJECT", "PIPELINE", "STATE", "COMMIT", "BRANCH", "AGE", "MESSAGE"]]
                + runs.map {
                    [
                        "\($0.id)", $0.project, $0.pipeline, $0.state, String($0.commit.prefix(7)), $0.branch ?? "",
                        ageText($0.createdAt), String($0.message.prefix(60)),
                    ]
                })
    }
}

struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show one run: its steps, its image, its deployments.", discussion: "Example: slipway show 12")
    @Argument(help: "The run's number.") var run: Int64
    @Flag(help: "Print one JSON document.") var json = false

    func run() async throws {
        let run: RunValue = try await Client().get("/runs/\(run)")
        if json { return try printJSON(run) }
        print("Run \(run.id) of \(run.project)/\(run.pipeline): \(run.state)")
        print("  \(run.commit) \(run.branch ?? "") by \(run.author): \(run.message)")
        if let original = run.rerunOf { print("  repeats run \(original)") }
        if let newer = run.supersededBy { print("  superseded by run \(newer)") }
        if let before = run.waitsFor { print("  waits for run \(before)") }
        if let group = run.concurrencyGroup { print("  concurrency group \(group)") }
        if let error = run.error { print("\n\(error)\n") }
        if let digest = run.digest { print("  image \(digest)") }
        if let steps = run.steps, !steps.isEmpty {
            printTable(
                [["STEP", "STATE", "IMAGE", ""]] + steps.map { [$0.name, $0.state, $0.image, Self.outcome(of: $0)] })
        }
        for event in run.events ?? [] where event.state == nil { print("  \(ageText(event.at)) ago: \(event.message)") }
        if let deployments = run.deployments, !deployments.isEmpty {
            printTable(
                [["STAGE", "STATE", "BY", ""]]
                    + deployments.map { [$0.stage, $0.state, $0.requestedBy, $0.message ?? ""] })
            for tail in deployments.compactMap(\.logTail) { print("\nThe instance's last lines:\n\(tail)") }
        }
    }
}

extension Show {
    private static func outcome(of step: StepValue) -> String {
        let notes = [
            step.message, step.attempt > 1 && step.state != "running" ? "attempt \(step.attempt)" : nil,
            step.takenFrom.map { "from run \($0)" },
        ]
        return notes.compactMap { $0 }.joined(separator: " · ")
    }
}

struct Logs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the logs of a run's steps.",
        discussion: "Example: slipway logs 12 --step test -f. With -f the exit status is 1 when the run does not succeed.")
    @Argument(help: "The run's number.") var run: Int64
    @Option(help: "Only this step's.") var step: String?
    @Flag(name: [.short, .long], help: "Go on until the run is over.") var follow = false
    @Flag(help: "Print one JSON document a line.") var json = false

    private struct Line: Encodable {
        var step: String
        var line: LogValue.Line
    }

    func run() async throws {
        let client = Client()
        var offsets: [String: Int64] = [:]
        var complete: Set<String> = []
        var patience = Patience()
        while true {
            let current: RunValue
            do {
                current = try await printNews(client, &offsets, &complete)
                patience.answered()
            } catch let failure as Failure where follow && patience.waits(for: failure) {
                try await Task.sleep(for: Self.pause)
                continue
            }
            if !follow || !["queued", "running"].contains(current.state) {
                if let error = current.error { writeError("run \(run): \(error)") }
                if follow, current.state != "succeeded" { throw ExitCode(Failure.failed) }
                return
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    private static let pause = Duration.milliseconds(250)

    /// Prints what is new, and returns the run as it was before that.
    private func printNews(_ client: Client, _ offsets: inout [String: Int64], _ complete: inout Set<String>) async throws -> RunValue {
        let current: RunValue = try await client.get("/runs/\(run)")
        let steps = (current.steps ?? []).filter { step == nil || $0.name == step }
        if let step, steps.isEmpty {
            throw Failure("run \(run) has no step '\(step)'", hint: "see them with: slipway show \(run)")
        }
        for step in steps where !complete.contains(step.name) {
            if try await printLog(of: step.name, from: &offsets[step.name, default: 0], client) {
                complete.insert(step.name)
            }
        }
        return current
    }

    /// Prints what is there. Returns whether nothing more will come.
    private func printLog(of step: String, from offset: inout Int64, _ client: Client) async throws -> Bool {
        while true {
            let log: LogValue = try await client.get("/runs/\(run)/log/\(segment(step))?after=\(offset)")
            for line in log.lines {
                if json {
                    print(String(decoding: try JSONEncoder().encode(Line(step: step, line: line)), as: UTF8.self))
                } else {
                    print("[\(step)] \(line.text)")
                }
            }
            if let removed = log.removed { writeError("run \(run), step \(step): \(removed)") }
            offset = log.next
            if log.complete || log.lines.isEmpty { return log.complete }
        }
    }
}
