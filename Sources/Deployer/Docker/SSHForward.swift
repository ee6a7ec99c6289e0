import FoundationEssentials
import Glibc
import Logging
import Subprocess
import Synchronization
import SystemPackage

/// A socket of this machine with one of another machine behind it, while ``run()`` runs: ssh(1) forwards it.
///
/// Keys, known hosts and ways through other machines are those of the user who runs the server, as ssh's own configuration says;
/// nothing is asked for. An ssh that ends is started again.
final class SSHForward: Sendable {
    private struct State {
        /// Before that, a socket is what a killed server has left.
        var hasBegun = false
        /// Why there is no socket; nil while ssh connects for the first time, or again after it had.
        var problem: DeployerError?
        /// The last that ssh has written.
        var words: [UInt8] = []
    }

    /// Between two starts of ssh.
    static let distance = Duration.seconds(5)
    private static let patience = Duration.seconds(15)

    let remote: RemoteSocket
    /// Of this machine. Nobody else may use its folder.
    let socket: FilePath
    private let name: String
    private let program: String
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameters:
    ///   - name: of the docker host, for messages.
    ///   - program: ssh(1), by its path or as PATH has it.
    init(of remote: RemoteSocket, to socket: FilePath, name: String, program: String, logger: Logger) {
        self.remote = remote
        self.socket = socket
        self.name = name
        self.program = program
        self.logger = logger
    }

    /// What ssh has written last, for people.
    var words: String { state.withLock { Self.text($0.words) } }

    /// Returns when the socket is there: at once, unless ssh is just connecting.
    ///
    /// - Throws: `.targetUnreachable` in the words of ssh.
    func opened() async throws {
        let deadline = ContinuousClock.now + Self.patience
        while true {
            let (hasBegun, problem) = state.withLock { ($0.hasBegun, $0.problem) }
            if hasBegun, access(socket.string, F_OK) == 0 { return }
            if let problem { throw problem }
            guard ContinuousClock.now < deadline else { throw unreachable("ssh has not connected within \(Self.patience)") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Keeps the socket there until the task is cancelled.
    func run() async {
        var told: String?
        while !Task.isCancelled {
            let began = ContinuousClock.now
            let problem = await connect()
            // It was there, and was gone with ssh.
            let wasOpen = unlink(socket.string) == 0
            if Task.isCancelled { break }
            state.withLock { $0.problem = wasOpen ? nil : problem }
            if wasOpen, ContinuousClock.now - began > .seconds(60) { told = nil }
            if told != problem.message { logger.warning("\(problem)") }
            told = problem.message
            // Cancelled, the loop ends.
            try? await Task.sleep(until: began + Self.distance)
        }
        state.withLock { $0.problem = unreachable("the server is stopping") }
    }

    /// One ssh from its start to its end, and why it ended.
    private func connect() async -> DeployerError {
        do {
            try FileManager.default.createDirectory(
                atPath: socket.removingLastComponent().string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            if unlink(socket.string) != 0, errno != ENOENT { throw Errno(rawValue: errno) }
            state.withLock {
                $0.hasBegun = true
                $0.words = []
            }
            var options = PlatformOptions()
            options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(2))]
            let result = try await Subprocess.run(
                .name("setpriv"), arguments: Arguments(arguments), platformOptions: options, input: .none, output: .discarded, error: .sequence
            ) { execution in
                for try await part in execution.standardError { note(part.withUnsafeBytes { Array($0) }) }
            }
            if result.terminationStatus == .exited(127) {
                return unreachable("there is no program \(program)", hint: "apt-get install openssh-client")
            }
            let words = words
            return unreachable(words.isEmpty ? "ssh has ended: \(result.terminationStatus)" : words)
        } catch {
            return unreachable("ssh cannot be started: \(error)", hint: "it needs setpriv of the package util-linux, and \(socket) to be writable")
        }
    }

    /// setpriv(1) has the kernel end ssh when the thread that started it ends: with the server, however that ends. Subprocess starts all
    /// children in one thread that lives as long as the server.
    private var arguments: [String] {
        let options = [
            "BatchMode=yes", "ExitOnForwardFailure=yes", "StreamLocalBindUnlink=yes", "ConnectTimeout=10", "ServerAliveInterval=5",
            "ServerAliveCountMax=3",
            // Another ssh that has a connection already must not be left with the socket.
            "ControlMaster=no", "ControlPath=none",
        ]
        return ["--pdeathsig", "TERM", program, "-nNT"] + options.flatMap { ["-o", $0] } + ["-L", "\(socket):\(remote.path)"] + remote.destination
    }

    private func note(_ bytes: [UInt8]) {
        state.withLock { $0.words = ($0.words + bytes).suffix(2048) }
    }

    private func unreachable(_ why: String, hint: String? = nil) -> DeployerError {
        let command = (["ssh", "-nNT"] + remote.destination.filter { $0 != "--" }).joined(separator: " ")
        return DeployerError(
            .targetUnreachable, "the docker host \(name) is not reached by ssh: \(why)",
            hint: hint ?? "as the user that runs the server, '\(command)' has to connect, with a known host key and without a password")
    }

    /// The last three lines: what comes before is what a server tells everybody.
    private static func text(_ bytes: [UInt8]) -> String {
        let lines = bytes.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }.suffix(3)
        return lines.map { line in
            String(String(decoding: line, as: UTF8.self).unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : Character($0) })
        }.joined(separator: "; ")
    }
}
