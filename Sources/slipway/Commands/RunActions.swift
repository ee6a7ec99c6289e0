import ArgumentParser
import Foundation
import NIOHTTP1
import WebServer

struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stop a run.", discussion: "Example: slipway cancel 12")
    @Argument(help: "The run's number.") var run: Int64

    func run() async throws {
        try await Client().send(.POST, "/runs/\(run)/cancel", body: nil)
        print("Run \(run) is being cancelled.")
    }
}

struct Rerun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the same commit by the same pipeline once more, as a new run.",
        discussion: "Example: slipway rerun 12")
    @Argument(help: "The run's number.") var run: Int64
    @Option(help: "Asking again with the same key makes no further run.") var key: String?
    @Flag(help: "Print one JSON document.") var json = false

    func run() async throws {
        let wanted = RerunRequest()
        let again: RunValue = try await Client().post(
            "/runs/\(run)/rerun", wanted, headers: ["Idempotency-Key": key ?? UUID().uuidString])
        if json { return try printJSON(again) }
        print("Run \(again.id) repeats run \(run); see: slipway logs \(again.id) -f")
    }
}

struct Trigger: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a project's pipelines for the head of a branch, as event 'manual'.",
        discussion: "Example: slipway trigger gtin --branch main")
    @Argument var project: String
    @Option(help: "The branch.") var branch = "main"

    func run() async throws {
        try await Client().send(
            .POST, "/projects/\(segment(project))/trigger", body: TriggerRequest(branch: branch))
        print("Triggered; see: slipway runs \(project)")
    }
}
