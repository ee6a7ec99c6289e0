import ArgumentParser
import Foundation
import NIOHTTP1
import WebServer

struct ProjectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "project", abstract: "Register repositories.", subcommands: [Add.self, List.self, Set.self, Notify.self, Remove.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register a repository and print what its forge needs to know.",
            discussion: "Example: slipway project add gtin https://git.example.com/shop/gtin.git")
        @Argument(help: "Lower-case letters, digits and '-'.") var name: String
        @Argument(help: "A local path, or a file, git, http(s) or ssh URL.") var url: String
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let isPath = !url.contains("://") && !url.contains(":")
            let address = isPath ? URL(fileURLWithPath: url).standardizedFileURL.path : url
            let project: NewProjectValue = try await Client().post(
                "/projects", ProjectRequest(name: name, url: address))
            if json { return try printJSON(project) }
            print(
                """
                Added \(project.name).

                In your forge, add a webhook (content type application/json, push events):
                  URL     \(project.hook)
                  Secret  \(project.secret)

                For a plain repository, save this as hooks/post-receive and make it executable:

                \(project.postReceive)
                """)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the projects.", discussion: "Example: slipway project list --json")
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let projects: [ProjectValue] = try await Client().get("/projects")
            if json { return try printJSON(projects) }
            printTable([["PROJECT", "AGE", "REPOSITORY"]] + projects.map { [$0.name, ageText($0.createdAt), $0.url] })
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a project, its history and its running instances.",
            discussion: "Example: slipway project remove gtin")
        @Argument var name: String

        func run() async throws {
            try await Client().send(.DELETE, "/projects/\(segment(name))", body: nil)
            print("Removed \(name).")
        }
    }
}

struct SecretCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret", abstract: "Keep secrets for steps and stages.",
        subcommands: [Set.self, List.self, Remove.self])

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set a secret; its value is read from standard input.",
            discussion: "Example: printf %s \"$KEY\" | slipway secret set api_key --project gtin")
        @Argument var name: String
        @Option(help: "The project it belongs to.") var project: String

        func run() async throws {
            guard let data = try FileHandle.standardInput.readToEnd(), !data.isEmpty else {
                throw Failure(
                    "standard input is empty", hint: "pipe the value in, as in: printf %s \"$KEY\" | slipway secret set …",
                    status: Failure.usage)
            }
            try await Client().send(
                .PUT, "/projects/\(segment(project))/secrets/\(segment(name))",
                body: SecretRequest(value: String(decoding: data, as: UTF8.self)))
            print("Set \(name).")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the names of a project's secrets.", discussion: "Example: slipway secret list --project gtin")
        @Option(help: "The project.") var project: String
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let names: [String] = try await Client().get("/projects/\(segment(project))/secrets")
            if json { return try printJSON(names) }
            for name in names { print(name) }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a secret.", discussion: "Example: slipway secret remove api_key --project gtin")
        @Argument var name: String
        @Option(help: "The project it belongs to.") var project: String

        func run() async throws {
            try await Client().send(.DELETE, "/projects/\(segment(project))/secrets/\(segment(name))", body: nil)
            print("Removed \(name).")
        }
    }
}
