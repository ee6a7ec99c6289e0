import ArgumentParser

/// The one executable: the server and everything users type.
@main
struct Slipway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "slipway",
        abstract: "Continuous delivery from one binary: a push becomes an image, dev gets it, prod gets the same digest.",
        discussion: """
            The client commands talk to a server: SLIPWAY_URL (default http://127.0.0.1:8080) and SLIPWAY_TOKEN (the \
            content of admin-token in the server's data directory).

            Exit status: 0 ok, 1 failed, 2 usage, 3 refused, 4 unreachable.
            """,
        version: "0.1.0",
        subcommands: [
            Serve.self, Doctor.self, Lint.self, ProjectCommand.self, Runs.self, Show.self, Logs.self, Cancel.self, Rerun.self,
            Trigger.self, Status.self, Promote.self, Approve.self, Reject.self, Rollback.self, Resume.self, Abort.self, Override.self,
            JobsCommand.self, Exec.self,
            Why.self, Plan.self, LedgerCommand.self, Prove.self,
            SecretCommand.self,
            ImageCommand.self, TokenCommand.self, StoreCommand.self,
            OutboxCommand.self, DeliveriesCommand.self, InstanceCommand.self, RouterCommand.self,
        ])

    /// Building up the tree of all commands takes longer than many a build: the one that scripts run all day is found without
    /// it. What it does not understand, help and mistakes, is for the whole tree, which knows its full name.
    private static func parse() throws -> any ParsableCommand {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.starts(with: ["image", "build"]), let build = try? ImageCommand.Build.parse(Array(arguments.dropFirst(2))) {
            return build
        }
        return try parseAsRoot()
    }

    static func main() async {
        do {
            var command = try parse()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            writeError("slipway: \(failure.message)" + (failure.hint.isEmpty ? "" : "\n  \(failure.hint)"))
            exit(withError: ExitCode(failure.status))
        } catch let error where exitCode(for: error) == .validationFailure {
            writeError(fullMessage(for: error))
            exit(withError: ExitCode(2))
        } catch let error where error is ExitCode || exitCode(for: error) == .success {
            exit(withError: error)
        } catch {
            writeError("slipway: \(error)")
            exit(withError: ExitCode(1))
        }
    }
}
