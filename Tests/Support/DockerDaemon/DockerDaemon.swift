public import Foundation

/// Debian's dockerd with all it has in one folder, and a bridge of its own; as root.
public final class DockerDaemon: @unchecked Sendable {
    // Started and stopped by one test, in order.
    public let folder: URL
    public let network: Int
    private let tls: (port: Int, certificates: URL)?
    private var process: Process?

    public struct Problem: Error, CustomStringConvertible {
        public let description: String
    }

    public var socket: String { folder.appendingPathComponent("docker.sock").path }
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
        let program = "/usr/sbin/dockerd"
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw Problem(description: "\(program) is missing: apt-get install docker.io")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = [
            "--data-root", "\(folder.path)/data", "--exec-root", "\(folder.path)/exec", "--pidfile", "\(folder.path)/docker.pid",
            "--config-file", "\(folder.path)/daemon.json", "--host", "unix://\(socket)", "--iptables=false", "--ip6tables=false",
            "--bridge", bridge,
        ]
        try Data("{}".utf8).write(to: folder.appendingPathComponent("daemon.json"))
        if let tls {
            let files = tls.certificates.path
            process.arguments? += [
                "--host", "tcp://127.0.0.1:\(tls.port)", "--tlsverify", "--tlscacert", "\(files)/ca.pem", "--tlscert", "\(files)/cert.pem",
                "--tlskey", "\(files)/key.pem",
            ]
        }
        let log = folder.appendingPathComponent("log")
        if !FileManager.default.fileExists(atPath: log.path) { try Data().write(to: log) }
        let output = try FileHandle(forWritingTo: log)
        try output.seekToEnd()
        defer { try? output.close() }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        self.process = process
        for _ in 0..<600 {
            guard process.isRunning else { break }
            if (try? await Self.run("/usr/bin/curl", ["-fsS", "--max-time", "5", "--unix-socket", socket, "http://docker/_ping"])) != nil { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Problem(description: "dockerd does not start: \((try? String(contentsOf: log, encoding: .utf8))?.suffix(2000) ?? "")")
    }

    /// SIGTERM; containers end with it.
    public func stop() async throws {
        guard let process else { return }
        kill(process.processIdentifier, SIGTERM)
        for _ in 0..<600 where process.isRunning { try await Task.sleep(for: .milliseconds(50)) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        self.process = nil
    }

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

    private func remove() async {
        await Self.removeContainers(socket)
        try? await stop()
        _ = try? await Self.run("/sbin/ip", ["link", "delete", bridge])
        Self.unmount(folder)
        try? FileManager.default.removeItem(at: folder)
    }

    static func removeContainers(_ socket: String) async {
        struct Name: Decodable { var Id: String }
        guard let list = try? await ask(socket, "GET", "/containers/json?all=1"),
            let names = try? JSONDecoder().decode([Name].self, from: Data(list.utf8))
        else { return }
        for name in names { _ = try? await ask(socket, "DELETE", "/containers/\(name.Id)?force=1&v=1") }
    }

    /// What is mounted below a folder.
    static func unmount(_ folder: URL) {
        let mounts = (try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? ""
        for mount in mounts.split(separator: "\n").compactMap({ $0.split(separator: " ").dropFirst(4).first.map(String.init) })
            .filter({ $0.hasPrefix("\(folder.path)/") }).sorted(by: >)
        { umount2(mount, Int32(MNT_DETACH)) }
    }

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
