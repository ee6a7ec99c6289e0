public import Foundation

/// Debian's dockerd with all it has in one folder, and a bridge of its own; as root.
public final class DockerDaemon: Sendable {
    public let folder: URL
    public let network: Int
    public let socket: String
    private let tls: (port: Int, certificates: URL)?
    private let engine: EngineProcess

    public struct Problem: Error, CustomStringConvertible {
        public let description: String
    }

    public var bridge: String { "sliptest\(network)" }
    /// `10.96.<network>.0/24`.
    public var gateway: String { "10.96.\(network).1" }

    /// Runs `body` with a daemon, and leaves nothing of it behind.
    ///
    /// - Parameters:
    ///   - folder: short enough for a socket in it; made when missing.
    ///   - network: 0 to 255, of which no other daemon is at the same time.
    ///   - tls: a loopback port it listens on too, and the folder with `ca.pem`, `cert.pem`, `key.pem` it asks clients for.
    public static func with<T>(
        _ folder: URL, network: Int, tls: (port: Int, certificates: URL)? = nil, _ body: (DockerDaemon) async throws -> T
    ) async throws -> T {
        let daemon = DockerDaemon(folder, network, tls)
        do {
            try await daemon.prepare()
            let result = try await body(daemon)
            await daemon.remove()
            return result
        } catch {
            await daemon.remove()
            throw error
        }
    }

    private init(_ folder: URL, _ network: Int, _ tls: (port: Int, certificates: URL)?) {
        self.folder = folder
        self.network = network
        self.tls = tls
        socket = folder.appendingPathComponent("docker.sock").path
        engine = EngineProcess(folder, socket: socket)
    }

    private func prepare() async throws {
        guard geteuid() == 0 else { throw Problem(description: "dockerd needs root: run the tests as root") }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        _ = try? await Self.run("/sbin/ip", ["link", "delete", bridge])
        // Without a hardware address of its own it would have the lowest of its ports', which changes with them.
        let address = "02:42:0a:60:0\(String(network / 16, radix: 16)):0\(String(network % 16, radix: 16))"
        try await Self.run("/sbin/ip", ["link", "add", bridge, "address", address, "type", "bridge"])
        try await Self.run("/sbin/ip", ["address", "add", "\(gateway)/24", "dev", bridge])
        try await Self.run("/sbin/ip", ["link", "set", bridge, "up"])
        try await start()
    }

    public func start() async throws {
        var arguments = [
            "--data-root", "\(folder.path)/data", "--exec-root", "\(folder.path)/exec", "--pidfile", "\(folder.path)/docker.pid",
            "--config-file", "\(folder.path)/daemon.json", "--host", "unix://\(socket)", "--iptables=false", "--ip6tables=false",
            "--bridge", bridge,
        ]
        try Data("{}".utf8).write(to: folder.appendingPathComponent("daemon.json"))
        if let tls {
            let files = tls.certificates.path
            arguments += [
                "--host", "tcp://127.0.0.1:\(tls.port)", "--tlsverify", "--tlscacert", "\(files)/ca.pem", "--tlscert", "\(files)/cert.pem",
                "--tlskey", "\(files)/key.pem",
            ]
        }
        try await engine.start("/usr/sbin/dockerd", package: "docker.io", arguments)
    }

    /// SIGTERM; containers end with it.
    public func stop() async throws { try await engine.stop() }

    /// Asks its API; the body of the answer.
    @discardableResult
    public func ask(_ method: String, _ path: String, _ body: String? = nil) async throws -> String {
        try await Self.ask(socket, method, path, body)
    }

    static func ask(_ socket: String, _ method: String, _ path: String, _ body: String? = nil) async throws -> String {
        let content = body.map { ["-H", "Content-Type: application/json", "-d", $0] } ?? []
        return try await run(
            "/usr/bin/curl", ["-fsS", "--max-time", "60", "-X", method, "--unix-socket", socket] + content + ["http://docker\(path)"])
    }

    private func remove() async { await engine.remove(bridge: bridge) }

    /// - Throws: ``Problem`` with what the program printed unless it ended with 0.
    @discardableResult
    public static func run(_ program: String, _ arguments: [String]) async throws -> String {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("output-\(UUID().uuidString)")
        try Data().write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = handle
        process.standardError = handle
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        let output = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        guard status == 0 else { throw Problem(description: "\(program) \(arguments.joined(separator: " ")): \(output)") }
        return output
    }
}
