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
        discussion: """
            Example: slipway rerun 12 --failed

            With --failed or --from the other steps that succeeded count for the new run too, as far as what they left in the \
            workspace is known: steps that ran side by side with one that runs again run again as well.
            """)
    @Argument(help: "The run's number.") var run: Int64
    @Flag(help: "Only the steps that did not succeed, and what depends on them.") var failed = false
    @Option(help: "Only this step, and what depends on it.") var from: String?
    @Option(help: "Asking again with the same key makes no further run.") var key: String?
    @Flag(help: "Print one JSON document.") var json = false

    func validate() throws {
        if failed, from != nil { throw ValidationError("--failed and --from exclude each other.") }
    }

    func run() async throws {
        let wanted = RerunRequest(failed: failed ? true : nil, from: from)
        let again: RunValue = try await Client().post(
            "/runs/\(run)/rerun", wanted, headers: ["Idempotency-Key": key ?? UUID().uuidString])
        if json { return try printJSON(again) }
        let taken = (again.steps ?? []).filter { $0.takenFrom != nil }.map(\.name)
        print("Run \(again.id) repeats run \(run); see: slipway logs \(again.id) -f")
        if failed || from != nil {
            print(taken.isEmpty ? "No step could be taken over; all of them run." : "Taken over: \(taken.joined(separator: ", "))")
        }
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
