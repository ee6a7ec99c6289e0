public import Foundation

/// Debian's Podman with all it has in one folder, a bridge of its own, and its service on a socket; as root.
public final class PodmanService: @unchecked Sendable {
    // Started and stopped by one test, in order.
    public let folder: URL
    public let network: Int
    private var process: Process?

    public var socket: String { folder.appendingPathComponent("podman.sock").path }
    private var bridge: String { "slippod\(network)" }

    /// Runs `body` with a service, and leaves nothing of it behind.
    ///
    /// - Parameters:
    ///   - folder: short enough for sockets in it; made when missing.
    ///   - network: 0 to 255, of which no other service is at the same time.
    ///   - registry: a port of this machine where images are, by plain HTTP; Podman has to be told of it.
    public static func with<T>(_ folder: URL, network: Int, registry: Int, _ body: (PodmanService) async throws -> T) async throws -> T {
        let service = PodmanService(folder, network)
        do {
            try await service.prepare(registry)
            let result = try await body(service)
            await service.remove()
            return result
        } catch {
            await service.remove()
            throw error
        }
    }

    private init(_ folder: URL, _ network: Int) {
        self.folder = folder
        self.network = network
    }

    private func prepare(_ registry: Int) async throws {
        guard geteuid() == 0 else { throw DockerDaemon.Problem(description: "containers need root: run the tests as root") }
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("net"), withIntermediateDirectories: true)
        let path = folder.path
        // Limits of its own are higher than some machines let root set. File locks: the usual ones are one shared memory for the whole machine.
        let engine = """
            [containers]
            default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
            [engine]
            cgroup_manager = "cgroupfs"
            events_logger = "file"
            lock_type = "file"
            runtime = "runc"
            tmp_dir = "\(path)/tmp"
            volume_path = "\(path)/volumes"
            [network]
            network_backend = "cni"
            network_config_dir = "\(path)/net"
            cni_plugin_dirs = ["/usr/lib/cni"]

            """
        let storage = """
            [storage]
            driver = "overlay"
            graphroot = "\(path)/root"
            runroot = "\(path)/run"

            """
        let registries = """
            [[registry]]
            location = "127.0.0.1:\(registry)"
            insecure = true

            """
        let subnet = "10.97.\(network)"
        let net = """
            {"cniVersion": "0.4.0", "name": "podman", "plugins": [
              {"type": "bridge", "bridge": "\(bridge)", "isGateway": true, "ipMasq": false, "hairpinMode": true,
               "ipam": {"type": "host-local", "dataDir": "\(path)/addresses", "routes": [{"dst": "0.0.0.0/0"}],
                        "ranges": [[{"subnet": "\(subnet).0/24", "gateway": "\(subnet).1"}]]}}]}

            """
        for (name, text) in [("engine", engine), ("storage", storage), ("registries", registries), ("net/podman.conflist", net)] {
            try Data(text.utf8).write(to: folder.appendingPathComponent(name))
        }
        try await start()
    }

    public func start() async throws {
        let program = "/usr/bin/podman"
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw DockerDaemon.Problem(description: "\(program) is missing: apt-get install podman")
        }
        let log = folder.appendingPathComponent("log")
        if !FileManager.default.fileExists(atPath: log.path) { try Data().write(to: log) }
        let output = try FileHandle(forWritingTo: log)
        try output.seekToEnd()
        defer { try? output.close() }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["system", "service", "--time=0", "unix://\(socket)"]
        process.environment = ProcessInfo.processInfo.environment.merging([
            "CONTAINERS_CONF": "\(folder.path)/engine", "CONTAINERS_STORAGE_CONF": "\(folder.path)/storage",
            "CONTAINERS_REGISTRIES_CONF": "\(folder.path)/registries",
        ]) { $1 }
        // Where conmon notes that a container had no memory left.
        process.currentDirectoryURL = folder
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        self.process = process
        for _ in 0..<600 {
            guard process.isRunning else { break }
            if (try? await DockerDaemon.run("/usr/bin/curl", ["-fsS", "--max-time", "5", "--unix-socket", socket, "http://podman/_ping"])) != nil {
                return
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw DockerDaemon.Problem(
            description: "podman does not serve: \((try? String(contentsOf: log, encoding: .utf8))?.suffix(2000) ?? "")")
    }

    /// SIGTERM; containers go on.
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
        try await DockerDaemon.ask(socket, method, path, body)
    }

    private func remove() async {
        await DockerDaemon.removeContainers(socket)
        try? await stop()
        _ = try? await DockerDaemon.run("/sbin/ip", ["link", "delete", bridge])
        DockerDaemon.unmount(folder)
        try? FileManager.default.removeItem(at: folder)
    }
}
