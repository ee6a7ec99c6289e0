import ArgumentParser
import Foundation
import NIOHTTP1
import WebServer

extension ProjectCommand {
    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say where the forge is to be told the state of runs.",
            discussion: """
                Example: slipway project set gtin --status-url https://git.example.com/shop/gtin --status-token-secret forge_token

                Every pipeline becomes a commit status 'slipway/PIPELINE'. The token is a secret of the project, set with \
                'slipway secret set'; it needs the right to write commit statuses and no other.
                """)
        @Argument(help: "The project.") var name: String
        @Option(help: "The repository's page on the forge, or its API address.") var statusUrl: String?
        @Option(help: "github, or gitea (also for Forgejo); default: github at github.com, else gitea.") var statusForge: String?
        @Option(help: "The name of the project's secret that holds the token.") var statusTokenSecret: String?
        @Flag(help: "Send no commit statuses any more.") var noStatus = false

        func run() async throws {
            let path = "/projects/\(segment(name))/status-target"
            if noStatus {
                guard statusUrl == nil, statusForge == nil, statusTokenSecret == nil else {
                    throw Failure("--no-status goes alone", hint: "leave the other options out", status: Failure.usage)
                }
                try await Client().send(.DELETE, path, body: nil)
                print("No commit statuses are sent for \(name).")
                return
            }
            guard let statusUrl, let statusTokenSecret else {
                throw Failure(
                    "there is nothing to set", hint: "give --status-url and --status-token-secret, or --no-status",
                    status: Failure.usage)
            }
            let isGitHub = ["github.com", "api.github.com"].contains(URL(string: statusUrl)?.host ?? "")
            let request = StatusTargetRequest(
                forge: statusForge ?? (isGitHub ? "github" : "gitea"), url: statusUrl, tokenSecret: statusTokenSecret)
            let data = try await Client().send(.PUT, path, body: request)
            let target = try JSONDecoder().decode(OutboxTargetValue.self, from: data)
            print("Commit statuses go to \(target.url)/statuses/… (\(target.kind)).")
        }
    }

    struct Notify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "notify", abstract: "Tell other programs what happens in a project.",
            subcommands: [Add.self, List.self, Remove.self])

        struct Add: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Send events to an address, signed with a secret that is printed once.",
                discussion: """
                    Example: slipway project notify add gtin https://chat.example.com/hook --events run.failed,deployment.succeeded

                    docs/notifications.md describes the events and their fields.
                    """)
            @Argument(help: "The project.") var name: String
            @Argument(help: "An http or https address.") var url: String
            @Option(help: "Events, separated by commas (default: all).") var events: String?
            @Flag(help: "Print one JSON document.") var json = false

            func run() async throws {
                let wanted = events?.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) } ?? []
                let target: OutboxTargetValue = try await Client().post(
                    "/projects/\(segment(name))/notify", NotifyRequest(url: url, events: wanted))
                if json { return try printJSON(target) }
                print(
                    """
                    Added notification \(target.id) of \(name).

                    Every request carries X-Slipway-Signature: sha256=<HMAC-SHA256 of the body with this secret, in hex>
                      Secret  \(target.secret ?? "")
                    """)
            }
        }

        struct List: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "List where a project's messages go.", discussion: "Example: slipway project notify list gtin")
            @Argument(help: "The project.") var name: String
            @Flag(help: "Print one JSON document.") var json = false

            func run() async throws {
                let targets: [OutboxTargetValue] = try await Client().get("/projects/\(segment(name))/notify")
                if json { return try printJSON(targets) }
                printTable(
                    [["ID", "KIND", "EVENTS", "ADDRESS"]]
                        + targets.map { target in
                            let events = target.kind != "webhook" ? "runs" : target.events.isEmpty ? "all" : target.events.joined(separator: ",")
                            return ["\(target.id)", target.kind, events, target.url]
                        })
            }
        }

        struct Remove: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Stop sending to an address; what waits for it is dropped.",
                discussion: "Example: slipway project notify remove gtin 3")
            @Argument(help: "The project.") var name: String
            @Argument(help: "The number that 'notify list' shows.") var id: Int64

            func run() async throws {
                try await Client().send(.DELETE, "/projects/\(segment(name))/notify/\(id)", body: nil)
                print("Removed notification \(id).")
            }
        }
    }
}
