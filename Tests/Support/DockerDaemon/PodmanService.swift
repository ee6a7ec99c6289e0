public import Foundation

/// Debian's Podman with all it has in one folder, a bridge of its own, and its service on a socket; as root.
public final class PodmanService: Sendable {
    public let folder: URL
    public let network: Int
    public let socket: String
    private let engine: EngineProcess

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
        socket = folder.appendingPathComponent("podman.sock").path
        engine = EngineProcess(folder, socket: socket)
    }

    private func prepare(_ registry: Int) async throws {
        guard geteuid() == 0 else { throw DockerDaemon.Problem(description: "containers need root: run the tests as root") }
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("net"), withIntermediateDirectories: true)
        let path = folder.path
        // Limits of its own are higher than some machines let root set. File locks: the usual ones are one shared memory for the whole machine.
        let containers = """
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
        for (name, text) in [("engine", containers), ("storage", storage), ("registries", registries), ("net/podman.conflist", net)] {
            try Data(text.utf8).write(to: folder.appendingPathComponent(name))
        }
        try await start()
    }

    public func start() async throws {
        try await engine.start(
            "/usr/bin/podman", package: "podman", ["system", "service", "--time=0", "unix://\(socket)"],
            environment: [
                "CONTAINERS_CONF": "\(folder.path)/engine", "CONTAINERS_STORAGE_CONF": "\(folder.path)/storage",
                "CONTAINERS_REGISTRIES_CONF": "\(folder.path)/registries",
            ])
    }

    /// SIGTERM; containers go on.
    public func stop() async throws { try await engine.stop() }

    /// Asks its API; the body of the answer.
    @discardableResult
    public func ask(_ method: String, _ path: String, _ body: String? = nil) async throws -> String {
        try await DockerDaemon.ask(socket, method, path, body)
    }

    private func remove() async { await engine.remove(bridge: bridge) }
}
