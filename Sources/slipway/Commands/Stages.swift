import ArgumentParser
import Foundation
import WebServer

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what is where.", discussion: "Example: slipway status gtin")
    @Argument(help: "Only this project.") var project: String?
    @Flag(help: "Print one JSON document.") var json = false

    func run() async throws {
        let client = Client()
        var names = project.map { [$0] } ?? []
        if project == nil { names = try await client.get("/projects", as: [ProjectValue].self).map(\.name) }
        var all: [StatusValue] = []
        for name in names { all.append(try await client.get("/projects/\(segment(name))/status")) }
        if json {
            if project != nil, let only = all.first { return try printJSON(only) }
            return try printJSON(all)
        }
        var rows = [["PROJECT", "STAGE", "STATE", "DIGEST", "COMMIT", "AGE", "URL"]]
        for status in all {
            for stage in status.stages {
                rows.append([
                    status.project, stage.stage, stage.state, stage.digest.map { String($0.dropFirst(7).prefix(12)) } ?? "",
                    stage.commit.map { String($0.prefix(7)) } ?? "", stage.since.map(ageText) ?? "", stage.url,
                ])
            }
        }
        printTable(rows)
        for status in all {
            for stage in status.stages {
                if let problem = stage.problem { print("\(status.project)/\(stage.stage): \(problem)") }
                if let waiting = stage.waiting {
                    print(
                        "\(status.project)/\(stage.stage): \(waiting.digest.dropFirst(7).prefix(12)) waits for approval:"
                            + " slipway approve \(stage.stage) --project \(status.project)")
                }
            }
        }
    }
}

/// The project and stage of a command.
struct Place: ParsableArguments {
    @Argument(help: "The stage, as in 'prod'.") var stage: String
    @Option(help: "The project; may be left out when there is only one.") var project: String?
    @Option(help: "The pipeline; may be left out when only one has such a stage.") var pipeline: String?
    @Flag(help: "Print one JSON document.") var json = false

    func path(_ action: String, _ client: Client, _ parameters: [String: String?] = [:]) async throws -> String {
        let query = ([("pipeline", pipeline)] + parameters.sorted { $0.key < $1.key })
            .compactMap { key, value in value.map { "\(key)=\(segment($0))" } }.joined(separator: "&")
        return "/projects/\(segment(try await projectName(client)))/stages/\(segment(stage))/\(action)" + (query.isEmpty ? "" : "?\(query)")
    }

    func projectName(_ client: Client) async throws -> String {
        if let project { return project }
        let projects: [ProjectValue] = try await client.get("/projects")
        guard let only = projects.first, projects.count == 1 else {
            throw Failure("there are \(projects.count) projects", hint: "say which one with --project", status: Failure.usage)
        }
        return only.name
    }

    func deploy(_ action: String, _ parameters: [String: String?] = [:]) async throws {
        let client = Client()
        let deployment: DeploymentValue = try await client.post(try await path(action, client, parameters))
        if json { return try printJSON(deployment) }
        print("Deployment \(deployment.id): \(deployment.digest) to \(deployment.stage), \(deployment.state)")
    }

    func decide(_ action: String, comment: String?, digest: String?) async throws {
        let client = Client()
        let decision: DecisionValue = try await client.post(
            try await path(action, client, ["comment": comment, "digest": digest]))
        if json { return try printJSON(decision) }
        let missing = decision.remaining > 0 ? "; \(decision.remaining) more needed" : ""
        print("Deployment \(decision.deployment) \(decision.outcome)\(missing).")
    }
}

struct Promote: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the digest that is healthy in the stage before into a stage.",
        discussion: """
            Example: slipway promote prod --project gtin

            In a freeze the deployment waits for its end. --override-freeze lets it go ahead; who did so and why is kept in the ledger.
            """)
    @OptionGroup var place: Place
    @Option(name: .customLong("run"), help: "The release of this run, by its number, instead of the newest.") var ofRun: Int64?
    @Option(help: "Go ahead in a freeze, for this reason.") var overrideFreeze: String?
    func run() async throws { try await place.deploy("promote", ["override": overrideFreeze, "run": ofRun.map(String.init)]) }
}

struct Override: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let the deployment that waits for a freeze to end go ahead.",
        discussion: """
            Example: slipway override prod --project gtin --reason "the shop is down"

            Approvals are needed all the same. Who did it and why is kept in the ledger.
            """)
    @OptionGroup var place: Place
    @Option(help: "Why it cannot wait.") var reason: String
    func run() async throws { try await place.deploy("override", ["reason": reason]) }
}

struct Rollback: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring back what was in a stage before.", discussion: "Example: slipway rollback prod --project gtin")
    @OptionGroup var place: Place
    func run() async throws { try await place.deploy("rollback") }
}

struct Approve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Agree to the deployment that waits in a stage.",
        discussion: "Example: slipway approve prod --project gtin")
    @OptionGroup var place: Place
    @Option(help: "Why, kept with the decision.") var comment: String?
    @Option(help: "Only if this is the digest that waits.") var digest: String?
    func run() async throws { try await place.decide("approve", comment: comment, digest: digest) }
}

struct Reject: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Refuse the deployment that waits in a stage.",
        discussion: "Example: slipway reject prod --project gtin")
    @OptionGroup var place: Place
    @Option(help: "Why, kept with the decision.") var comment: String?
    @Option(help: "Only if this is the digest that waits.") var digest: String?
    func run() async throws { try await place.decide("reject", comment: comment, digest: digest) }
}
