import ArgumentParser
import DeliveryModel
import Foundation
import NIOHTTP1
import OCIModel
import WebServer

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Tokens of people, and of machines that pull and push images.",
        subcommands: [Create.self, List.self, Revoke.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token and print it, once.",
            discussion: """
                Example: slipway token create ci --pull 'shop/*' --push shop/gtin --expires 90d

                Example: slipway token create ann-laptop --person ann --role deployer

                With --person the token is a person's, who is one of 'people' in the server's slipway.yaml: what is done with it is \
                done in their name. viewer reads, deployer also promotes, approves and runs, admin does everything.

                '*' stands for one part of a repository's name, '**' for several. Pushing includes pulling and deleting. Log \
                in with any user name and the token as password.
                """)
        @Argument(help: "Lower-case letters, digits and '-'.") var name: String
        @Option(parsing: .singleValue, help: "Repositories it may pull from; may be repeated.") var pull: [String] = []
        @Option(parsing: .singleValue, help: "Repositories it may push to; may be repeated.") var push: [String] = []
        @Option(help: "Whose token it is: one of the server's people.") var person: String?
        @Option(help: "What the person may do: viewer, deployer or admin (default: deployer).") var role: String?
        @Option(help: "How long it is good for, as in 12h or 90d (default: until it is revoked).") var expires: String?
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let seconds = try expires.map { text in
                guard let duration = Quantities.duration(text), duration > .zero else {
                    throw Failure("--expires: '\(text)' is not a duration", hint: "write as in 12h or 90d", status: Failure.usage)
                }
                return duration / .seconds(1)
            }
            let role = try role.map { text in
                guard let role = Role(rawValue: text) else {
                    throw Failure("--role: '\(text)' is unknown", hint: "write viewer, deployer or admin", status: Failure.usage)
                }
                return role
            }
            let request = TokenRequest(
                name: name, pull: try patterns(pull), push: try patterns(push), expiresIn: seconds, person: person, role: role)
            let token: TokenValue = try await Client().post("/tokens", request)
            if json { return try printJSON(token) }
            print(token.secret ?? "")
            if isTerminal { writeError("This is the only time it is shown. Revoke it with: slipway token revoke \(name)") }
        }

        private func patterns(_ texts: [String]) throws -> [RepositoryPattern] {
            do {
                return try texts.map { try RepositoryPattern(parsing: $0) }
            } catch let error as OCIError {
                throw Failure(error.message, hint: error.hint, status: Failure.usage)
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the tokens and what they allow.", discussion: "Example: slipway token list --json")
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let tokens: [TokenValue] = try await Client().get("/tokens")
            if json { return try printJSON(tokens) }
            printTable(
                [["TOKEN", "PERSON", "ROLE", "PULL", "PUSH", "AGE", "EXPIRES"]]
                    + tokens.map { token in
                        [
                            token.name, token.person ?? "", token.role?.rawValue ?? "", token.pull.map(\.text).joined(separator: ","),
                            token.push.map(\.text).joined(separator: ","), ageText(token.createdAt),
                            token.expiresAt.map { Date(timeIntervalSince1970: $0).formatted(.iso8601) } ?? "never",
                        ]
                    })
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revoke a token; it stops working at once.", discussion: "Example: slipway token revoke ci")
        @Argument var name: String

        func run() async throws {
            try await Client().send(.DELETE, "/tokens/\(segment(name))", body: nil)
            print("Revoked \(name).")
        }
    }
}
