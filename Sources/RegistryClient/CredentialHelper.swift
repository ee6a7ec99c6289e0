import BlockingQueue
import FoundationEssentials

/// A program `docker-credential-<name>` that keeps logins: <https://github.com/docker/docker-credential-helpers>.
struct CredentialHelper: Sendable, Hashable {
    let name: String
    /// Where programs are looked for.
    let path: String
    let timeout: Duration

    /// What a helper may print.
    private static let outputLimit = 64 << 10

    private struct Answer: Decodable {
        let username: String?
        let secret: String?
        enum CodingKeys: String, CodingKey {
            case username = "Username"
            case secret = "Secret"
        }
    }

    /// Asks for the login at a server; nil when the helper has none.
    ///
    /// - Throws: ``RegistryError`` with code `invalidCredentials`; never with anything the helper printed.
    func login(at server: String) async throws -> RegistryCredentials? {
        let program = "docker-credential-\(name)"
        guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x2f }) else {
            throw failure("its name is not one of a program")
        }
        let queue = BlockingQueue(label: "credential-helper", width: 1)
        let ended = try await queue.run { [path, timeout] cancellation in
            try ShortProgram(name: program, path: path, timeout: timeout, outputLimit: Self.outputLimit)
                .run(["get"], input: server + "\n", cancellation)
        }
        let succeeded: Bool
        let output: String
        switch ended {
        case .exited(let status, let printed): (succeeded, output) = (status == 0, String(decoding: printed, as: UTF8.self))
        case .notInstalled:
            throw RegistryError(
                .invalidCredentials, "the credential helper \(program) is not installed",
                hint: "install it, or remove it from config.json and log in again")
        case .notStarted(let reason): throw failure("it could not be started: \(reason)")
        case .tooSlow: throw failure("it gave no answer for \(server) within \(timeout)")
        case .tooLong: throw failure("it printed more than \(Self.outputLimit) bytes")
        }
        guard succeeded else {
            // The protocol has no code for this; helpers say it in these words.
            if output.contains("credentials not found") || output.contains("no credentials") { return nil }
            throw failure("it failed for \(server)")
        }
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(output.utf8)), let secret = answer.secret else {
            throw failure("its answer for \(server) is not what helpers answer")
        }
        guard !secret.isEmpty else { return nil }
        return answer.username == "<token>" || answer.username?.isEmpty != false
            ? .identityToken(secret) : .basic(user: answer.username ?? "", password: secret)
    }

    private func failure(_ what: String) -> RegistryError {
        RegistryError(
            .invalidCredentials, "the credential helper docker-credential-\(name) cannot be used: \(what)",
            hint: "try it by hand: echo HOST | docker-credential-\(name) get")
    }
}
