import ArgumentParser
import NIOHTTP1
import WebServer

struct OutboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outbox", abstract: "See messages that have not arrived, and decide about them.",
        subcommands: [List.self, Retry.self, Discard.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List messages that wait or were given up.", discussion: "Example: slipway outbox list --project gtin")
        @Option(help: "Only those of a project.") var project: String?
        @Flag(help: "Also those of the last week that were sent, skipped or discarded.") var all = false
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            var query = ["state=" + (all ? "waiting,dead,sent,skipped,discarded" : "waiting,dead")]
            if let project { query.append("project=\(segment(project))") }
            let messages: [OutboxMessageValue] = try await Client().get("/outbox?\(query.joined(separator: "&"))")
            if json { return try printJSON(messages) }
            printTable(
                [["ID", "STATE", "PROJECT", "EVENT", "RUN", "TRIES", "AGE", "TARGET", "PROBLEM"]]
                    + messages.map { message in
                        [
                            "\(message.id)", message.state, message.project, message.event, "\(message.run)",
                            "\(message.attempts)", ageText(message.createdAt), message.target, message.problem ?? "",
                        ]
                    })
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send a message again that was given up.", discussion: "Example: slipway outbox retry 12")
        @Argument(help: "The number that 'outbox list' shows.") var id: Int64

        func run() async throws {
            try await Client().send(.POST, "/outbox/\(id)/retry", body: nil)
            print("Message \(id) is sent again.")
        }
    }

    struct Discard: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a message up for good.", discussion: "Example: slipway outbox discard 12")
        @Argument(help: "The number that 'outbox list' shows.") var id: Int64

        func run() async throws {
            try await Client().send(.POST, "/outbox/\(id)/discard", body: nil)
            print("Message \(id) is discarded.")
        }
    }
}
