import ArgumentParser
import Foundation
import NIOHTTP1
import WebServer

struct JobsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "Show what ran in a stage's releases besides their instances: jobs of deployments, by schedule, by hand.",
        discussion: """
            Examples: slipway jobs prod --project gtin
                      slipway jobs run prod cleanup -f
                      slipway jobs logs 12 -f
            """,
        subcommands: [List.self, Run.self, Logs.self, Cancel.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the jobs of a stage, newest first.", discussion: "Example: slipway jobs prod --project gtin")
        @OptionGroup var place: Place
        @Option(help: "How many.") var limit = 20

        func run() async throws {
            let client = Client()
            var query = [("project", try await place.projectName(client)), ("stage", place.stage), ("limit", "\(limit)")]
            if let pipeline = place.pipeline { query.append(("pipeline", pipeline)) }
            let jobs: [JobValue] = try await client.get("/jobs?" + query.map { "\($0)=\(segment($1))" }.joined(separator: "&"))
            if place.json { return try printJSON(jobs) }
            printTable(
                [["JOB", "NAME", "KIND", "STATE", "BY", "AGE", "DIGEST", ""]]
                    + jobs.map {
                        [
                            "\($0.id)", $0.name, $0.kind, $0.state, $0.startedBy, ageText($0.createdAt),
                            String($0.digest.dropFirst(7).prefix(12)), $0.message ?? "",
                        ]
                    })
        }
    }

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Start a job of the schedule of what is live in a stage.",
            discussion: """
                Example: slipway jobs run prod cleanup --project gtin -f

                Refused while it runs, unless its overlap is `allow`. Who started it is kept in the ledger.
                """)
        @OptionGroup var place: Place
        @Argument(help: "The job's name in the pipeline file.") var name: String
        @Flag(name: [.short, .long], help: "Print what it writes; the exit status is 1 when it does not succeed.") var follow = false

        func run() async throws {
            let client = Client()
            let job: JobValue = try await client.post(try await place.path("jobs", client), JobRequest(name: name))
            if place.json, !follow { return try printJSON(job) }
            guard follow else { return print("Job \(job.id): \(job.name) in \(job.digest)") }
            try await Logs.follow(job.id, client, json: place.json)
        }
    }

    struct Logs: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print what a job has written.",
            discussion: """
                Example: slipway jobs logs 12 -f

                What it wrote to standard error goes there. With -f the exit status is 1 when the job does not succeed.
                """)
        @Argument(help: "The job's number.") var job: Int64
        @Flag(name: [.short, .long], help: "Go on until the job is over.") var follow = false
        @Flag(help: "Print one JSON document a line.") var json = false

        func run() async throws {
            if follow { return try await Self.follow(job, Client(), json: json) }
            _ = try await JobOutput(client: Client(), job: job, json: json).print(follow: false)
        }

        static func follow(_ job: Int64, _ client: Client, json: Bool) async throws {
            let ended = try await JobOutput(client: client, job: job, json: json).print(follow: true)
            guard ended.state != "succeeded" else { return }
            writeError("job \(job) \(ended.state): \(ended.message ?? "")")
            throw ExitCode(Failure.failed)
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End a job that waits or runs.", discussion: "Example: slipway jobs cancel 12")
        @Argument(help: "The job's number.") var job: Int64

        func run() async throws {
            try await Client().send(.POST, "/jobs/\(job)/cancel", body: nil)
            print("Job \(job) is being ended.")
        }
    }
}

/// A job's log on its way to the terminal.
struct JobOutput {
    let client: Client
    let job: Int64
    var json = false

    /// Prints what there is, to the end when it is followed, and returns the job as it is then. A server that answered once, and is
    /// being restarted or replaced, is waited for.
    func print(follow: Bool) async throws -> JobValue {
        var offset: Int64 = 0
        var patience = Patience()
        while true {
            do {
                let log: LogValue = try await client.get("/jobs/\(job)/log?after=\(offset)")
                for line in log.lines { try write(line) }
                if let removed = log.removed { writeError("job \(job): \(removed)") }
                offset = log.next
                patience.answered()
                if log.complete || !follow && log.lines.isEmpty { return try await client.get("/jobs/\(job)") }
                if !log.lines.isEmpty { continue }
            } catch let failure as Failure where follow && patience.waits(for: failure) {}
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private func write(_ line: LogValue.Line) throws {
        if json {
            Swift.print(String(decoding: try JSONEncoder().encode(line), as: UTF8.self))
        } else if line.stream == "stderr" {
            writeError(line.text)
        } else {
            Swift.print(line.text)
        }
    }
}

/// A server that answered once, and is being restarted or replaced, is waited for: the log goes on where it was.
struct Patience {
    private static let limit = Duration.seconds(60)
    private var last: ContinuousClock.Instant?
    private var isSaid = false

    mutating func answered() {
        last = .now
        isSaid = false
    }

    mutating func waits(for failure: Failure) -> Bool {
        guard let last, failure.status == Failure.unreachable, ContinuousClock.now - last < Self.limit else { return false }
        if !isSaid { writeError("the server does not answer, asking again for \(Self.limit.components.seconds) s") }
        isSaid = true
        return true
    }
}
