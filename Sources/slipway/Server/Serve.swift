import ArgumentParser
import AsyncHTTPClient
import BlockingQueue
import ContainerRuntime
import ContainerfileBuild
import Deployer
import Foundation
import GitRepository
import ImageBuilder
import ImageStore
import Logging
import NIOCore
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

            Several servers on one PostgreSQL database share a data directory; --role says what each does.

            Settings come from the file named by --config (or SLIPWAY_CONFIG), from SLIPWAY_… in the environment and \
            from these options. SIGTERM stops it gracefully; containers and router go on serving. With --replace a new server \
            takes the place of the one that is there, of the same data directory and port, and nobody is refused meanwhile; a \
            socket that systemd has opened (sd_listen_fds) is used instead of a new one.
            """)
    @Option(help: "The configuration file, slipway.yaml.") var config: String?
    @Option(help: "The data directory.") var data: String?
    @Option(help: "Where to listen, HOST:PORT.") var listen: String?
    @Option(help: "The router's port.") var routerPort: Int?
    @Option(help: "What this server does: web, worker, or web,worker.") var role: String?
    @Flag(help: "Take the place of the server that is there; start as usual when there is none.") var replace = false
    @Flag(help: "The data directory came from another machine, which is gone: what ran there is lost. Needed once.") var moved = false

    func run() async throws {
        let settings = try await ServerSettings.read(
            file: config, data: data, listen: listen, routerPort: routerPort, role: role)
        let logger = Self.logger(settings)
        let predecessor = replace ? try await Self.takeOver(settings, logger) : nil
        let folder = try await TakeOver.waiting(predecessor) { try DataFolder(settings.data, shared: settings.store.isShared) }
        if settings.roles.contains(.worker) { try folder.claim(for: MachineIdentity(), moved: moved) }
        let place = try await TakeOver.waiting(predecessor) { try ServerPlace(in: folder.path, roles: settings.roles) }
        let storeLock = try await TakeOver.waiting(predecessor) { try settings.store.lock() }
        defer { withExtendedLifetime(storeLock) {} }
        let socket = try predecessor?.socket ?? ListeningSocket.activated() ?? ListeningSocket(host: settings.host, port: settings.port)
        if !socket.listens(on: settings.host, settings.port) {
            logger.warning("the socket it was given listens on \(socket.address), the setting 'listen' says \(settings.host):\(settings.port)")
        }
        GitLibrary.initialise()
        let successor = Successor()
        let turn = WebListener.Turn(begin: { await predecessor?.myTurn() }, end: { successor.mayAccept() })
        let server = try Server(settings: settings, folder: folder, place: place, socket: socket, turn: turn, logger: logger)
        do {
            if predecessor == nil { try await Self.checkMachine(settings, server.runtime) }
            try await server.belonging?.check()
        } catch let error as StateError where error.code == .unavailable {
            // Said, and asked again, by the engine.
        } catch {
            try await server.closeConnections()
            throw (error as? StateError).map { Failure($0) } ?? error
        }
        do { try await server.prepareUnits(settings) } catch {
            try await server.closeConnections()
            throw error
        }
        logger.info(
            "listening on http://\(settings.host):\(settings.port)\(socket.isInherited ? " (taken over)" : ""), data in \(settings.data), store: \(settings.store), server \(place.number): \(settings.roles)"
        )
        let handOver = HandOver(HandOverPlace(folder: folder.path, port: settings.port), socket, to: successor, logger)
        let services =
            server.services.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) }
            // Who has handed over has nothing more to do.
            + [.init(service: handOver, successTerminationBehavior: .gracefullyShutdownGroup)]
        let group = ServiceGroup(
            configuration: .init(services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        do {
            try await group.run()
        } catch let error as StateError {
            throw Failure(error)
        }
        logger.info("stopped; containers and router go on")
    }

    /// What steps, instances and the router need.
    private static func checkMachine(_ settings: ServerSettings, _ runtime: ContainerRuntime) async throws {
        guard settings.roles.contains(.worker) else { return }
        if settings.targets.units {
            do { try await InstanceUnits.check(settings.systemd) } catch let error as DeployerError {
                throw Failure(error.message, hint: error.hint)
            }
        }
        for finding in await runtime.check() where !finding.ok {
            throw Failure("\(finding.name): \(finding.message)", hint: finding.hint ?? "see: slipway doctor")
        }
        if let (program, package) = settings.routerProgram, Doctor.find(program) == nil {
            throw Failure(
                "\(settings.routerKind) is missing", hint: "apt-get install \(package), or set router.\(settings.routerKind)")
        }
    }

    /// What can go wrong is to go wrong before the predecessor ends.
    private static func takeOver(_ settings: ServerSettings, _ logger: Logger) async throws -> TakeOver? {
        guard TakeOver.isPossible(settings) else {
            logger.notice("there is no server to replace; this one starts as usual")
            return nil
        }
        try await checkMachine(
            settings, ContainerRuntime(root: settings.data.appending("containers"), settings: settings.containerRuntime))
        let environment = ProcessInfo.processInfo.environment
        let connections = RegistryConnections(proxies: try ProxySettings(environment: environment))
        _ = try OutsideRegistries(
            configFile: settings.dockerConfig, settings: settings.registries, environment: environment, connections: connections,
            logger: logger)
        try await connections.shutdown()
        try settings.store.checkSchema()
        return try TakeOver(settings, logger)
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
}

/// The composition root: every part is made here and nowhere else.
struct Server {
    let runtime: ContainerRuntime
    let units: InstanceUnits
    private(set) var services: [any Service]
    /// Nil: the store is of this data directory alone.
    let belonging: Belonging?
    private let connections: ServerConnections

    init(
        settings: ServerSettings, folder: DataFolder, place: ServerPlace, socket: ListeningSocket, turn: WebListener.Turn, logger: Logger
    ) throws {
        let time = ServerClock(logger: logger)
        let clock: @Sendable () -> Double = { time.now }
        let store: any StateStore = try settings.store.open(connections: settings.storeConnections, clock: clock)
        let belonging = settings.store.isShared ? Belonging(folder: folder, location: settings.store, store: store, place: place) : nil
        self.belonging = belonging
        let secrets = try folder.secrets()
        var opened = try ImageStore(root: folder.path)
        opened.limits = settings.layers
        let images = opened
        let snapshots = Snapshots(root: folder.snapshots, store: images)
        let runtimeSettings = settings.containerRuntime
        let runtime = ContainerRuntime(root: folder.containers, settings: runtimeSettings)
        let client = ServerConnections.makeProbeClient()
        let probe = HTTPClientProbe(client: client)
        let router = try settings.makeRouter(folder: folder.router, probe: probe)
        let token = try folder.adminToken()
        let environment = ProcessInfo.processInfo.environment
        let connections = RegistryConnections(proxies: try ProxySettings(environment: environment))
        let registries = try OutsideRegistries(
            configFile: settings.dockerConfig, settings: settings.registries, environment: environment,
            connections: connections, logger: logger)
        let units = InstanceUnits(settings: settings.systemd, sealing: Sealing(secrets), runtime: runtime)
        let targets = try Targets(
            settings.targets, host: HostTarget(runtime: runtime, snapshots: snapshots, units: settings.targets.units ? units : nil),
            owner: try folder.id(), place: place.number,
            registry: .init(
                images: images, local: Targets.localAddress(host: settings.host, port: settings.port), publicURL: settings.publicURL,
                token: settings.registry.anonymousPull ? nil : token, logins: registries.credentials), logger: logger)
        let declaration = Declaration()
        let supervisor = Supervisor(
            targets: targets.byName, router: router, probe: probe, stateFile: folder.path.appending("restarts.json"),
            now: clock, logger: logger, declared: { try await declaration.orders() })
        let scaling = Scaling(
            targets: targets.byName, router: router, now: clock, logger: logger, declared: { try await declaration.orders() },
            save: { try await store.save($0) })
        let keeper = StoreKeeper(
            images: images, store: store, snapshots: snapshots, containers: folder.containers,
            policy: settings.registry.policy, every: settings.registry.collectEvery, history: CollectionHistory(), logger: logger)
        let works = settings.roles.contains(.worker)
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
                rollout: Rollout(
                    targets: targets.byName, router: router, probe: probe,
                    metrics: settings.prometheus.map { PrometheusQuery(url: $0, client: client) }, now: clock),
                led: [supervisor, scaling, keeper, TargetKeeper(targets: targets.docker, store: store, logger: logger)],
                registries: registries, gitQueue: BlockingQueue(label: "git", width: 4), connections: connections,
                clock: clock),
            settings: .init(
                // The place admits one server: what its predecessor held is this one's.
                dataFolder: folder.path, holder: place.holder, isShared: settings.store.isShared, works: works,
                admission: { try await belonging?.check() }, concurrentRuns: settings.concurrentRuns, diskReserve: settings.diskReserve,
                keepWorkspace: settings.keepWorkspace, keepLogs: settings.keepLogs, publicURL: settings.publicURL,
                reconcileInterval: settings.reconcileInterval, startLimit: settings.quarantineAfter, governance: settings.governance), logger: logger)
        declaration.set { try await engine.declaredOrders() }
        let web = WebParts(
            store: store, engine: engine, images: images, secrets: secrets,
            access: Access(
                token: token, readersNeedToken: settings.readersNeedToken, people: settings.governance.people,
                personalToken: { try await store.token(hash: $0) }, clock: clock),
            registry: RegistryParts(
                tokenKey: secrets.derivedKey(for: "registry tokens"), anonymousPull: settings.registry.anonymousPull,
                limits: settings.registry.limits, metrics: RegistryMetrics(), history: keeper.history,
                collect: { try await keeper.collect(dryRun: $0) }),
            publicURL: settings.publicURL, uploadKey: secrets.derivedKey(for: "registry uploads"), routerPort: settings.routerPort,
            tokenFile: folder.tokenFile.string,
            logger: logger)
        let listener = WebListener(
            socket: socket.descriptor.rawValue, turn: turn,
            router: settings.roles.contains(.web) ? try makeRouter(web) : try makeWorkerRouter(web), logger: logger)
        self.runtime = runtime
        self.units = units
        self.connections = ServerConnections(probes: client, targets: targets.client, registries: connections)
        // The last stops first: others go on with what the engine gives back while the last requests are answered.
        services = [self.connections]
        if works { services += targets.docker.values.map { $0 as any Service } }
        services += [listener, engine, IdleMemory(), time] as [any Service]
        if works {
            services +=
                [
                    RouterService(router: router, logger: logger),
                    PeerWatch(place: place, store: store, logger: logger, every: settings.store.isShared ? .milliseconds(500) : .zero),
                ] as [any Service]
        }
    }
}

extension Server {
    /// For a server that does not come to run.
    func closeConnections() async throws { try await connections.close() }
}

/// Closes the connections when everything else has stopped.
struct ServerConnections: Service {
    /// For health probes and the router on this machine.
    static func makeProbeClient() -> HTTPClient {
        // A health path that redirects must not be judged by the page behind it.
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: .seconds(5), read: .seconds(60))
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(configuration: configuration)
    }

    let probes: HTTPClient
    let targets: HTTPClient
    let registries: RegistryConnections

    func run() async throws {
        try? await gracefulShutdown()
        try await close()
    }

    func close() async throws {
        try await registries.shutdown()
        try await targets.shutdown()
        try await probes.shutdown()
    }
}

/// Makes sure that the router runs, after a reboot say, that its certificates are those of the folder, and that its logs do not grow
/// for ever. It goes on when the server stops.
struct RouterService: Service {
    let router: any Router
    let logger: Logger
    var interval: Duration = .seconds(10)

    func run() async throws {
        do {
            try await router.start()
        } catch {
            // The server is still of use: the next deployment starts the router too, and says what is wrong with it.
            logger.error("the router does not start: \(error)")
        }
        await cancelWhenGracefulShutdown {
            var told: [String] = []
            var looks = 0
            repeat {
                told = await renew(told)
                looks += 1
                do {
                    if looks % 6 == 0 { try await router.rotateLogs() }
                } catch is CancellationError {
                    return
                } catch {
                    logger.warning("the router's logs cannot be put aside: \(error)")
                }
            } while (try? await Task.sleep(for: interval)) != nil
        }
    }

    /// - Parameter told: what was wrong the last time, and is not said again.
    private func renew(_ told: [String]) async -> [String] {
        var problems: [String]
        do { problems = try await router.renewCertificates() } catch is CancellationError { return told } catch {
            problems = ["HTTPS stays as it is: \(error)"]
        }
        for problem in problems where !told.contains(problem) { logger.warning("\(problem)") }
        return problems
    }
}
