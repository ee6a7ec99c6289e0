import ArgumentParser
import NIOHTTP1
import WebServer

struct DeliveriesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deliveries", abstract: "See what forges told of, and what came of it.",
        subcommands: [List.self, Retry.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List a project's last deliveries.", discussion: "Example: slipway deliveries gtin")
        @Argument(help: "The project.") var project: String
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let deliveries: [DeliveryValue] = try await Client().get("/projects/\(segment(project))/deliveries")
            if json { return try printJSON(deliveries) }
            printTable(
                [["ID", "STATE", "FORGE", "EVENT", "BRANCH", "COMMIT", "AGE", "OUTCOME"]]
                    + deliveries.map { delivery in
                        [
                            "\(delivery.id)", delivery.state, delivery.forge, delivery.event, delivery.branch ?? "",
                            String((delivery.commit ?? "").prefix(12)), ageText(delivery.receivedAt), delivery.outcome ?? "",
                        ]
                    })
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Work again on a delivery that failed or is quarantined.",
            discussion: "Example: slipway deliveries retry 12")
        @Argument(help: "The number that 'deliveries' shows.") var id: Int64

        func run() async throws {
            try await Client().send(.POST, "/deliveries/\(id)/retry", body: nil)
            print("Delivery \(id) is worked on again.")
        }
    }
}
