import AsyncHTTPClient
import ContainerRuntime
import DeliveryModel
import DockerDaemon
import Foundation
import Hummingbird
import ImageBuilder
import ImageStore
import Logging
import LoopbackServer
import OCIModel
import RegistryServer
import SystemPackage
import Testing

@testable import Deployer

enum TargetKind: String, CaseIterable, Sendable {
    case host
    case docker
    case podman

    /// With Podman where `SLIPWAY_TEST_PODMAN` is set.
    static var allCases: [TargetKind] { getenv("SLIPWAY_TEST_PODMAN") == nil ? [.host, .docker] : [.host, .docker, .podman] }
}

/// A target with an image of our own making in it, and what a test does behind its back. One Docker daemon, or one runtime.
struct TargetBench: Sendable {
    /// As a server makes it when it starts.
    let make: @Sendable () -> any Target
    /// Puts a container of that name there that nobody here has made.
    let makeForeign: @Sendable (_ name: String) async throws -> Void
    let removeForeign: @Sendable (_ name: String) async throws -> Void
    let image: Digest

    /// - Parameter command: of busybox, which is the entrypoint.
    func instance(
        _ deployment: String = "d1", replica: Int = 0, command: [String] = TargetBench.serve, memory: Int64? = 64 << 20
    ) -> InstanceSpec {
        InstanceSpec(order: order(deployment, command: command, memory: memory), replica: replica)
    }

    func order(_ deployment: String = "d1", command: [String] = TargetBench.serve, memory: Int64? = 64 << 20) -> RolloutOrder {
        RolloutOrder(
            deployment: deployment, project: "shop", pipeline: "web", stage: "test", image: image,
            service: ServiceDefinition(
                command: command, environment: ["B": "service", "C": "service"], port: 8080,
                limits: ResourceLimits(memoryBytes: memory, cpus: 1, pids: 32), replicas: 2),
            environment: ["C": "stage"], host: "shop.localhost")
    }

    static let serve = ["sh", "-c", "trap 'exit 0' TERM; echo ready; /bin/busybox httpd -f -p 8080 -h /www & wait"]

    /// What an instance answers.
    func answer(_ instance: InstanceObservation, _ path: String = "/") async throws -> String {
        let address = try #require(instance.address)
        let port = try #require(instance.port)
        var body = ""
        let isThere = try await eventually {
            let question = ProbeQuestion(address: address, port: port, path: path, timeout: .seconds(2))
            guard let answer = try? await testProbe.get(question) else { return false }
            body = String(decoding: answer.body, as: UTF8.self)
            return true
        }
        #expect(isThere, "\(address):\(port) does not answer")
        return body
    }

    func state(_ target: any Target, _ deployment: String = "d1") async throws -> [InstanceObservation.State] {
        try await target.observe(deployment: deployment).map(\.state)
    }

    static func with(_ kind: TargetKind, _ body: @escaping @Sendable (TargetBench) async throws -> Void) async throws {
        try #require(geteuid() == 0, "containers need root: run the tests as root")
        // Short: there are sockets in it.
        let folder = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent("tb-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try ImageStore(root: FilePath(folder.path).appending("store"))
        let image = try await makeImage(in: store, folder)
        switch kind {
        case .host: try await withHost(folder, store, image, body)
        case .docker: try await withDocker(folder, store, image, body)
        case .podman: try await withPodman(folder, store, image, body)
        }
    }

    /// Served by our own registry as `shop/test`.
    static func makeImage(in store: ImageStore, _ folder: URL) async throws -> Digest {
        let tree = folder.appendingPathComponent("tree")
        for name in ["bin", "www", "tmp", "run", "proc", "sys", "dev", "etc"] {
            try FileManager.default.createDirectory(at: tree.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: tree.appendingPathComponent("bin/busybox").path)
        try FileManager.default.createSymbolicLink(atPath: tree.path + "/bin/sh", withDestinationPath: "/bin/busybox")
        try Data("hello\n".utf8).write(to: tree.appendingPathComponent("www/index.html"))
        let built = try await ImageBuilder(store: store).build(
            BuildRequest(
                base: nil, copies: [.init(source: FilePath(tree.path), destination: "/")], context: FilePath(folder.path),
                entrypoint: ["/bin/busybox"], environment: ["A": "image", "B": "image", "C": "image"], timestamp: 1_700_000_000))
        let repository = try RepositoryName(parsing: "shop/test")
        try await store.record(manifest: built.manifest.digest, mediaType: MediaType.ociManifest, in: repository)
        return built.manifest.digest
    }

    private static func withHost(
        _ folder: URL, _ store: ImageStore, _ image: Digest, _ body: @Sendable (TargetBench) async throws -> Void
    ) async throws {
        let path = FilePath(folder.path)
        var settings = RuntimeSettings()
        settings.networkName = "slipway-target-test"
        settings.bridge = "sliptarget0"
        settings.masquerade = false
        settings.subnet = "10.95.0.0/24"
        settings.stateFolder = path.appending("state")
        settings.networkFolder = path.appending("networks")
        let made = settings
        let snapshots = Snapshots(root: path.appending("snapshots"), store: store)
        let runtime = ContainerRuntime(root: path.appending("containers"), settings: made)
        let bench = TargetBench(
            make: { HostTarget(runtime: ContainerRuntime(root: path.appending("containers"), settings: made), snapshots: snapshots) },
            makeForeign: { name in
                let layers = try await snapshots.prepare(image).layers.map(\.string)
                _ = try await runtime.start(
                    ContainerSpec(
                        id: name, layers: layers, arguments: ["/bin/busybox", "sleep", "600"], labels: ["slipway.deployment": "d9"]))
            },
            removeForeign: { name in
                try await runtime.stop(name, grace: .zero)
                try await runtime.remove(name)
            }, image: image)
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(bench)) } catch { outcome = .failure(error) }
        for container in try await runtime.list() {
            try await runtime.stop(container.id, grace: .zero)
            try await runtime.remove(container.id)
        }
        _ = try? await DockerDaemon.run("/sbin/ip", ["link", "delete", settings.bridge])
        try outcome.get()
    }

    private static func withDocker(
        _ folder: URL, _ store: ImageStore, _ image: Digest, _ body: @escaping @Sendable (TargetBench) async throws -> Void
    ) async throws {
        try await withRegistry(store) { port in
            try await DockerDaemon.with(folder.appendingPathComponent("docker"), network: 1) { daemon in
                try await withEngine(daemon.socket, registry: port, image, body) { try await daemon.ask($0, $1, $2) }
            }
        }
    }

    private static func withPodman(
        _ folder: URL, _ store: ImageStore, _ image: Digest, _ body: @escaping @Sendable (TargetBench) async throws -> Void
    ) async throws {
        try await withRegistry(store) { port in
            try await PodmanService.with(folder.appendingPathComponent("podman"), network: 1, registry: port) { service in
                try await withEngine(service.socket, registry: port, image, body) { try await service.ask($0, $1, $2) }
            }
        }
    }

    private static func withEngine(
        _ socket: String, registry port: Int, _ image: Digest, _ body: (TargetBench) async throws -> Void,
        ask: @escaping @Sendable (_ method: String, _ path: String, _ body: String?) async throws -> String
    ) async throws {
        try await withDockerClient { client in
            let host = try DockerHost(parsing: "unix://\(socket)")
            let bench = TargetBench(
                make: { docker([host], port, client) },
                makeForeign: { name in
                    let reference = "127.0.0.1:\(port)/shop/test@\(image)"
                    _ = try await ask("POST", "/images/create?fromImage=127.0.0.1:\(port)/shop/test&tag=\(image)", nil)
                    _ = try await ask(
                        "POST", "/containers/create?name=\(name)",
                        #"{"Image":"\#(reference)","Cmd":["sleep","600"],"Labels":{"slipway.deployment":"d1","slipway.server":"other"}}"#)
                },
                removeForeign: { name in _ = try await ask("DELETE", "/containers/\(name)?force=1", nil) }, image: image)
            try await body(bench)
        }
    }

    static func docker(_ hosts: [DockerHost], tls: DockerTLS? = nil, _ registry: Int, _ client: HTTPClient) -> DockerTarget {
        DockerTarget(
            settings: .init(hosts: hosts, tls: tls, owner: "here", settle: .milliseconds(500)), client: client,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        ) { _, _ in DockerImageSource(name: "127.0.0.1:\(registry)/shop/test") }
    }
}

func withDockerClient(_ body: (HTTPClient) async throws -> Void) async throws {
    let client = DockerTarget.makeClient()
    do { try await body(client) } catch {
        try await client.shutdown()
        throw error
    }
    try await client.shutdown()
}

/// Our registry over a store, while `body` runs with its port.
func withRegistry(_ store: ImageStore, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
    let router = Hummingbird.Router(context: BasicRequestContext.self)
    addRegistryRoutes(to: router, store: store, authorize: { _, _, _ in true })
    try await serve(router, body)
}
