import ArgumentParser
import AsyncHTTPClient
import BlockingQueue
import ContainerRuntime
import ContainerfileBuild
import Deployer
import Foundation
import GitRepository
import Hummingbird
import ImageBuilder
import ImageStore
import Logging
import PipelineEngine
import RegistryClient
import RegistryServer
import ServiceLifecycle
import StateStore
import SystemPackage
import UnixSignals
import WebServer

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the server.",
        discussion: """
            Example: slipway serve --data /var/lib/slipway --listen 127.0.0.1:8080

            Settings come from the file named by --config (or SLIPWAY_CONFIG), from SLIPWAY_… in the environment and \
            from these options. SIGTERM stops it gracefully; containers and router go on serving.
            """)
    @Option(help: "The configuration file, slipway.yaml.") var config: String?
    @Option(help: "The data directory.") var data: String?
    @Option(help: "Where to listen, HOST:PORT.") var listen: String?
    @Option(help: "The router's port.") var routerPort: Int?
    @Flag(help: "The data directory came from another machine, which is gone: what ran there is lost. Needed once.") var moved = false

    func run() async throws {
        let settings = try await ServerSettings.read(
            file: config, data: data, listen: listen, routerPort: routerPort)
        let logger = Self.logger(settings)
        let folder = try DataFolder(settings.data)
        try folder.claim(for: MachineIdentity(), moved: moved)
        let storeLock = try settings.store.lock()
        defer { withExtendedLifetime(storeLock) {} }
        try Self.checkPort(settings)
        GitLibrary.initialise()
        let server = try Server(settings: settings, folder: folder, logger: logger)
        for finding in await server.runtime.check() where !finding.ok {
            throw Failure("\(finding.name): \(finding.message)", hint: finding.hint ?? "see: slipway doctor")
        }
        guard Doctor.find(settings.nginx) != nil else {
            throw Failure("nginx is missing", hint: "apt-get install nginx-light, or set router.nginx")
        }
        logger.info("listening on http://\(settings.host):\(settings.port), data in \(settings.data), store: \(settings.store)")
        let group = ServiceGroup(
            configuration: .init(
                services: server.services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        do {
            try await group.run()
        } catch let error as StateError {
            throw Failure(error)
        }
        logger.info("stopped; containers and router go on")
    }

    /// Text for people, one JSON document a line for machines.
    private static func logger(_ settings: ServerSettings) -> Logger {
        let level = Logger.Level(rawValue: settings.logLevel) ?? .info
        if isatty(2) == 1 {
            LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        } else {
            LoggingSystem.bootstrap { JSONLogHandler(label: $0) }
        }
        var logger = Logger(label: "slipway")
        logger.logLevel = level
        return logger
    }

    /// A taken port is said before any work starts.
    private static func checkPort(_ settings: ServerSettings) throws {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var yes: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(settings.port).bigEndian)
        guard inet_pton(AF_INET, settings.host == "localhost" ? "127.0.0.1" : settings.host, &address.sin_addr) == 1
        else { return }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 {
            throw Failure(
                "cannot listen on \(settings.host):\(settings.port): \(Errno(rawValue: errno))",
                hint: "stop what listens there, or choose another address with --listen")
        }
    }
}

/// The composition root: every part is made here and nowhere else.
struct Server {
    let runtime: ContainerRuntime
    let services: [any Service]

    init(settings: ServerSettings, folder: DataFolder, logger: Logger) throws {
        let time = ServerClock(logger: logger)
        let clock: @Sendable () -> Double = { time.now }
        let store: any StateStore = try settings.store.open(connections: settings.storeConnections, clock: clock)
        let secrets = try folder.secrets()
        var opened = try ImageStore(root: folder.path)
        opened.limits = settings.layers
        let images = opened
        let snapshots = Snapshots(root: folder.snapshots, store: images)
        var given = RuntimeSettings()
        given.runtime = settings.runtime
        given.bridge = settings.bridge
        given.networkName = settings.bridge
        given.subnet = settings.subnet
        let runtimeSettings = given
        let runtime = ContainerRuntime(root: folder.containers, settings: runtimeSettings)
        let client = HTTPClientService.makeProbeClient()
        let probe = HTTPClientProbe(client: client)
        let target = HostTarget(runtime: runtime, snapshots: snapshots)
        let router = try NginxRouter(
            folder: folder.router,
            settings: NginxSettings(
                listenAddress: settings.routerHost, listenPort: settings.routerPort, program: settings.nginx),
            probe: probe)
        let token = try folder.adminToken()
        let environment = ProcessInfo.processInfo.environment
        let connections = RegistryConnections(proxies: try ProxySettings(environment: environment))
        let registries = try OutsideRegistries(
            configFile: settings.dockerConfig, settings: settings.registries, environment: environment,
            connections: connections, logger: logger)
        let declaration = Declaration()
        let supervisor = Supervisor(
            target: target, router: router, probe: probe, stateFile: folder.path.appending("restarts.json"),
            now: clock, logger: logger, declared: { try await declaration.orders() })
        let engine = PipelineEngine(
            parts: .init(
                store: store, secrets: secrets, images: images, snapshots: snapshots,
                builder: ImageBuilder(store: images),
                containerfileBuilder: { source in
                    ContainerfileBuilder(
                        store: images, folder: folder.path, images: source, connections: connections,
                        allowsPrivate: settings.buildsReachPrivate, settings: runtimeSettings)
                },
                runtime: runtime,
                rollout: Rollout(target: target, router: router, probe: probe), supervisor: supervisor,
                registries: registries, gitQueue: BlockingQueue(label: "git", width: 4), connections: connections,
                clock: clock),
            settings: .init(
                // The lock on the data directory admits one server: what its predecessor held is this one's.
                dataFolder: folder.path, holder: "\(ProcessInfo.processInfo.hostName):\(folder.path)",
                concurrentRuns: settings.concurrentRuns, diskReserve: settings.diskReserve,
                keepWorkspace: settings.keepWorkspace, keepLogs: settings.keepLogs, publicURL: settings.publicURL,
                reconcileInterval: settings.reconcileInterval), logger: logger)
        declaration.set { try await engine.declaredOrders() }
        let keeper = StoreKeeper(
            images: images, store: store, snapshots: snapshots, containers: folder.containers,
            policy: settings.registry.policy, every: settings.registry.collectEvery, history: CollectionHistory(), logger: logger)
        let web = WebParts(
            store: store, engine: engine, images: images, secrets: secrets,
            access: Access(token: token, readersNeedToken: settings.readersNeedToken, clock: clock),
            registry: RegistryParts(
                tokenKey: secrets.derivedKey(for: "registry tokens"), anonymousPull: settings.registry.anonymousPull,
                limits: settings.registry.limits, metrics: RegistryMetrics(), history: keeper.history,
                collect: { try await keeper.collect(dryRun: $0) }),
            publicURL: settings.publicURL, uploadKey: secrets.derivedKey(for: "registry uploads"), routerPort: settings.routerPort,
            tokenFile: folder.tokenFile.string,
            logger: logger)
        let application = Application(
            router: try makeRouter(web),
            configuration: .init(address: .hostname(settings.host, port: settings.port), serverName: "slipway"),
            logger: logger)
        self.runtime = runtime
        services = [
            HTTPClientService(client: client, connections: connections), RouterService(router: router, logger: logger), engine,
            keeper, application, IdleMemory(), time,
        ]
    }
}

/// Closes the connections when everything else has stopped.
struct HTTPClientService: Service {
    /// For health probes and the router on this machine.
    static func makeProbeClient() -> HTTPClient {
        // A health path that redirects must not be judged by the page behind it.
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: .seconds(5), read: .seconds(60))
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(configuration: configuration)
    }

    let client: HTTPClient
    let connections: RegistryConnections

    func run() async throws {
        try? await gracefulShutdown()
        try await connections.shutdown()
        try await client.shutdown()
    }
}

/// Makes sure that the router runs, after a reboot say. It goes on when the server stops.
struct RouterService: Service {
    let router: NginxRouter
    let logger: Logger

    func run() async throws {
        do {
            try await router.start()
        } catch {
            // The server is still of use: the next deployment starts the router too, and says what is wrong with it.
            logger.error("the router does not start: \(error)")
        }
        try? await gracefulShutdown()
    }
}
