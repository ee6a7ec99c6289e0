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
                if let scale = stage.scale {
                    print(
                        "\(status.project)/\(stage.stage): \(scale.replicas) \(scale.replicas == 1 ? "instance" : "instances") since \(ageText(scale.at)): \(scale.reason)"
                    )
                }
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
        path(action, project: try await projectName(client), pipeline: pipeline, parameters)
    }

    func projectName(_ client: Client) async throws -> String {
        if let project { return project }
        let projects: [ProjectValue] = try await client.get("/projects")
        guard projects.count == 1, let only = projects.first else {
            throw Failure("there are \(projects.count) projects", hint: "say which one with --project", status: Failure.usage)
        }
        return only.name
    }

    fileprivate func path(_ action: String, project: String, pipeline: String?, _ parameters: [String: String?]) -> String {
        let query = ([("pipeline", pipeline)] + parameters.sorted { $0.key < $1.key })
            .compactMap { key, value in value.map { "\(key)=\(segment($0))" } }.joined(separator: "&")
        return "/projects/\(segment(project))/stages/\(segment(stage))/\(action)" + (query.isEmpty ? "" : "?\(query)")
    }

    func deploy(_ action: String, _ parameters: [String: String?] = [:]) async throws {
        let client = Client()
        let deployment: DeploymentValue = try await client.post(try await path(action, client, parameters))
        if json { return try printJSON(deployment) }
        print(deployment.line)
    }
}

/// The stage of a command, of one pipeline or of every pipeline in a train.
struct Places: ParsableArguments {
    @OptionGroup var place: Place
    @Option(help: "Every pipeline that goes in this train, instead of one.") var train: String?

    func validate() throws {
        if train != nil, place.pipeline != nil { throw ValidationError("--train and --pipeline exclude each other: name one of them") }
    }

    func deploy(_ action: String, _ parameters: [String: String?] = [:]) async throws {
        try await each(action, parameters) { (deployment: DeploymentValue) in deployment.line }
    }

    func decide(_ action: String, comment: String?, digest: String?) async throws {
        try await each(action, ["comment": comment, "digest": digest]) { (decision: DecisionValue) in
            let missing = decision.remaining > 0 ? "; \(decision.remaining) more needed" : ""
            return "Deployment \(decision.deployment) \(decision.outcome)\(missing)."
        }
    }

    /// Asks for one pipeline after the other. What is refused for one is told, and does not keep the others from being asked.
    private func each<Answer: Codable>(_ action: String, _ parameters: [String: String?], _ line: (Answer) -> String) async throws {
        let client = Client()
        let project = try await place.projectName(client)
        var answers: [Answer] = []
        var failures: [(pipeline: String?, failure: Failure)] = []
        for pipeline in try await pipelines(client, project) {
            do {
                let answer: Answer = try await client.post(place.path(action, project: project, pipeline: pipeline, parameters))
                answers.append(answer)
                if !place.json { print(line(answer)) }
            } catch let failure as Failure {
                failures.append((pipeline, failure))
            }
        }
        if place.json { if train == nil, let only = answers.first { try printJSON(only) } else if train != nil { try printJSON(answers) } }
        guard let last = failures.last else { return }
        for other in failures.dropLast() { writeError("slipway: \(other.pipeline ?? place.stage): \(other.failure.message)") }
        throw last.failure
    }

    private func pipelines(_ client: Client, _ project: String) async throws -> [String?] {
        guard let train else { return [place.pipeline] }
        let status: StatusValue = try await client.get("/projects/\(segment(project))/status")
        let members = status.stages.filter { $0.stage == place.stage && $0.train == train }.map(\.pipeline)
        guard !members.isEmpty else {
            let known = Set(status.stages.compactMap(\.train)).sorted().joined(separator: ", ")
            throw Failure(
                "no pipeline of '\(project)' has a stage '\(place.stage)' in a train '\(train)'",
                hint: known.isEmpty ? "a train is named with train: in pipeline files" : "its trains: \(known)", status: Failure.usage)
        }
        return members
    }
}

extension DeploymentValue {
    fileprivate var line: String {
        "Deployment \(id): \(digest) to \(stage), \(state)" + (train.map { " (\(pipeline), with the others of train \($0))" } ?? "")
    }
}

struct Promote: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the digest that is healthy in the stage before into a stage.",
        discussion: """
            Example: slipway promote prod --project gtin

            In a freeze the deployment waits for its end. --override-freeze lets it go ahead; who did so and why is kept in the ledger.
            """)
    @OptionGroup var places: Places
    @Option(name: .customLong("run"), help: "The release of this run, by its number, instead of the newest.") var ofRun: Int64?
    @Option(help: "Go ahead in a freeze, for this reason.") var overrideFreeze: String?
    func run() async throws { try await places.deploy("promote", ["override": overrideFreeze, "run": ofRun.map(String.init)]) }
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
    @OptionGroup var places: Places
    @Option(help: "Why, kept with the decision.") var comment: String?
    @Option(help: "Only if this is the digest that waits.") var digest: String?
    func run() async throws { try await places.decide("approve", comment: comment, digest: digest) }
}

struct Reject: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Refuse the deployment that waits in a stage.",
        discussion: "Example: slipway reject prod --project gtin")
    @OptionGroup var places: Places
    @Option(help: "Why, kept with the decision.") var comment: String?
    @Option(help: "Only if this is the digest that waits.") var digest: String?
    func run() async throws { try await places.decide("reject", comment: comment, digest: digest) }
}
