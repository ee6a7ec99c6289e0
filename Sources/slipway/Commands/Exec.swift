import ArgumentParser
import NIOHTTP1
import UnixSignals
import WebServer

struct Exec: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a command in a container of the image that is live in a stage, with the stage's settings.",
        discussion: """
            Example: slipway exec prod --project gtin -- /bin/app report --month 5

            It gets a container of its own beside the instances, with their variables, secrets, network and limits. What it writes comes \
            line by line, standard error there, with secrets blotted out; its exit status is the command's. It has no standard input and no \
            terminal. Ctrl-C ends it. Who ran what is kept in the ledger.
            """)
    @OptionGroup var place: Place
    @Option(help: "How many seconds it may take.") var timeout: Double = 3600
    @Argument(parsing: .postTerminator, help: "The program and its arguments, after '--'.") var command: [String]

    func run() async throws {
        let client = Client()
        let job: JobValue = try await client.post(try await place.path("jobs", client), JobRequest(command: command, timeout: timeout))
        let ended = try await withThrowingTaskGroup(of: JobValue?.self) { group in
            group.addTask { try await JobOutput(client: client, job: job.id, json: place.json).print(follow: true) }
            group.addTask {
                var isAsked = false
                for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) {
                    if isAsked { throw Failure("job \(job.id) is being ended", hint: "see: slipway jobs \(job.stage)") }
                    isAsked = true
                    try await client.send(.POST, "/jobs/\(job.id)/cancel", body: nil)
                }
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
        guard ended.state != "succeeded" else { return }
        let code = ended.exitCode.flatMap { $0 == 0 ? nil : Int32(truncatingIfNeeded: $0) }
        if code == nil || ended.state != "failed" || ended.message?.hasPrefix("exit code") != true {
            writeError("job \(job.id) \(ended.state): \(ended.message ?? "")")
        }
        throw ExitCode(code ?? Failure.failed)
    }
}
