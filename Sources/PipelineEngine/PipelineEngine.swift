public import BlockingQueue
public import ContainerRuntime
public import ContainerfileBuild
public import Deployer
import GitRepository
public import ImageBuilder
public import ImageStore
public import Logging
public import RegistryClient
public import ServiceLifecycle
public import StateStore
public import SystemPackage

/// Claims runs and deployments and advances them by what is persisted.
///
/// Every hop writes its intent, acts, and records the outcome; a server killed at any line goes on at the next start,
/// or another server does once the lease has expired.
public struct PipelineEngine: Service {
    /// The parts the engine conducts.
    public struct Parts: Sendable {
        public var store: any StateStore
        public var secrets: SecretBox
        public var images: ImageStore
        public var snapshots: Snapshots
        public var builder: ImageBuilder
        /// Makes what builds from Containerfiles; the images they name come from the given source.
        public var containerfileBuilder: @Sendable (any BaseImages) -> ContainerfileBuilder
        public var runtime: ContainerRuntime
        public var rollout: Rollout
        /// Run by one server at a time.
        public var led: [any Service]
        public var registries: any Registries
        public var gitQueue: BlockingQueue
        /// What messages leave by.
        public var connections: RegistryConnections
        /// Seconds since 1970, the same clock as the store's where that has none of its own. It must not jump.
        public var clock: @Sendable () -> Double

        public init(
            store: any StateStore, secrets: SecretBox, images: ImageStore, snapshots: Snapshots,
            builder: ImageBuilder, containerfileBuilder: @escaping @Sendable (any BaseImages) -> ContainerfileBuilder,
            runtime: ContainerRuntime, rollout: Rollout, led: [any Service],
            registries: any Registries, gitQueue: BlockingQueue, connections: RegistryConnections,
            clock: @escaping @Sendable () -> Double
        ) {
            self.store = store
            self.secrets = secrets
            self.images = images
            self.snapshots = snapshots
            self.builder = builder
            self.containerfileBuilder = containerfileBuilder
            self.runtime = runtime
            self.rollout = rollout
            self.led = led
            self.registries = registries
            self.gitQueue = gitQueue
            self.connections = connections
            self.clock = clock
        }
    }

    public struct Settings: Sendable {
        /// Holds `mirrors/` and `runs/`.
        public var dataFolder: FilePath
        /// This server's name in leases; no two servers that run at the same time may share it.
        public var holder: String
        /// Whether other servers use the store too.
        public var isShared: Bool
        /// Carries out runs and deployments. Without it the engine only answers questions.
        public var works: Bool
        /// Asked before anything else, again and again until the store answers; what else it throws ends the engine.
        public var admission: @Sendable () async throws -> Void
        public var concurrentRuns: Int
        public var concurrentDeployments: Int
        public var concurrentJobs: Int
        public var leaseSeconds: Double
        /// Bytes the disk must have free for a run to begin.
        public var diskReserve: Int64
        /// How often a registry outside that fails is asked, and the pause after the first failure; each later one is twice as long.
        public var registryAttempts: Int
        public var registryPause: Duration
        /// Seconds that the workspace of a run which did not succeed is kept, so that the run can be repeated in part.
        public var keepWorkspace: Double
        /// Seconds that the logs of a run are kept after its end; nil: for ever.
        public var keepLogs: Double?
        /// The network of steps.
        public var stepNetwork: ContainerSpec.Network
        /// The address users reach this server at, without a slash at the end; messages link to it.
        public var publicURL: String
        public var outbox: OutboxPolicy
        /// How often branches are looked at for pushes nobody told of; zero: never.
        public var reconcileInterval: Duration
        /// How often work on a delivery or a run may be cut off by the end of the server before it counts as its cause.
        public var startLimit: Int
        /// People, and when nothing begins.
        public var governance: Governance

        public init(
            dataFolder: FilePath, holder: String, isShared: Bool = false, works: Bool = true,
            admission: @escaping @Sendable () async throws -> Void = {}, concurrentRuns: Int = 4, concurrentDeployments: Int = 64,
            concurrentJobs: Int = 32,
            leaseSeconds: Double = 10, diskReserve: Int64 = 256 << 20, registryAttempts: Int = 5,
            registryPause: Duration = .seconds(1), keepWorkspace: Double = 86_400, keepLogs: Double? = 90 * 86_400,
            stepNetwork: ContainerSpec.Network = .bridge,
            publicURL: String, outbox: OutboxPolicy = OutboxPolicy(),
            reconcileInterval: Duration = .seconds(300), startLimit: Int = 3, governance: Governance = Governance()
        ) {
            self.dataFolder = dataFolder
            self.holder = holder
            self.isShared = isShared
            self.works = works
            self.admission = admission
            self.concurrentRuns = concurrentRuns
            self.concurrentDeployments = concurrentDeployments
            self.concurrentJobs = concurrentJobs
            self.leaseSeconds = leaseSeconds
            self.diskReserve = diskReserve
            self.registryAttempts = registryAttempts
            self.registryPause = registryPause
            self.keepWorkspace = keepWorkspace
            self.keepLogs = keepLogs
            self.stepNetwork = stepNetwork
            self.publicURL = publicURL
            self.outbox = outbox
            self.reconcileInterval = reconcileInterval
            self.startLimit = startLimit
            self.governance = governance
        }
    }

    let parts: Parts
    let settings: Settings
    let logger: Logger
    /// Rings when there may be work; see ``wake()``.
    let bell: Bell
    let trouble: StoreTrouble
    /// Rings when there is a project whose branches nobody has looked at.
    let newProjects: Bell
    /// Where logs are read, compressed and removed: one at a time.
    let files = BlockingQueue(label: "run files", width: 1)

    public init(parts: Parts, settings: Settings, logger: Logger) {
        self.parts = parts
        self.settings = settings
        self.logger = logger
        self.bell = Bell()
        self.trouble = StoreTrouble(logger: logger)
        self.newProjects = Bell()
    }

    /// Tells the engine that there may be work. Only a hint: what is missed is found within a second.
    public func wake() { bell.ring() }

    /// Tells the engine of a new project: what its branches are now counts as seen.
    public func projectAdded() { newProjects.ring() }

    public func run() async throws {
        guard try await cancelWhenGracefulShutdown({ try await takeUp() }) else { return }
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await cancelWhenGracefulShutdown { await welcomeProjects() } }
                guard settings.works else { return try await group.waitForAll() }
                group.addTask { await cancelWhenGracefulShutdown { await loop("intake") { try await intake() } } }
                for number in 0..<settings.concurrentRuns {
                    group.addTask {
                        await cancelWhenGracefulShutdown { await loop("run worker \(number)") { try await workOnRun() } }
                    }
                }
                group.addTask { await cancelWhenGracefulShutdown { await deploy() } }
                group.addTask { await cancelWhenGracefulShutdown { await workOnJobs() } }
                group.addTask { await cancelWhenGracefulShutdown { await carryMessages() } }
                group.addTask { await cancelWhenGracefulShutdown { await listen() } }
                group.addTask { await cancelWhenGracefulShutdown { await watchDisk() } }
                group.addTask { try await cancelWhenGracefulShutdown { try await lead() } }
                try await group.waitForAll()
            }
        } onGracefulShutdown: {
            bell.ring()
        }
        try await giveBack()
    }

    /// The disk of the data directory; while it is full no run begins.
    public var diskSpace: DiskSpace { DiskSpace(folder: settings.dataFolder, reserve: settings.diskReserve) }

    /// Says once that the disk is full, and once that there is room again.
    private func watchDisk() async {
        var isFull = false
        var isExhausted = false
        while !Task.isCancelled {
            let shortage = diskSpace.shortage()
            if let shortage, !isFull { logger.error("no run begins: \(shortage.problem); \(shortage.hint)") }
            if diskSpace.isExhausted, !isExhausted {
                isExhausted = true
                logger.error("nothing is left of the disk: what steps print now may be missing from their logs")
            }
            if shortage == nil, isFull {
                logger.notice("the disk has room again; runs go on")
                bell.ring()
            }
            isFull = shortage != nil
            isExhausted = isExhausted && isFull
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// Repeats `work` until the server stops. Work that found nothing, or failed, is repeated after the next ring.
    private func loop(_ name: String, _ work: @Sendable () async throws -> Bool) async {
        while !Task.isCancelled {
            let heard = bell.count
            do {
                let found = try await work()
                trouble.isOver()
                if found { continue }
            } catch is CancellationError {
                return
            } catch let error as StateError where error.isOutage {
                trouble.began(error)
            } catch {
                logger.error("\(name): \(error)")
            }
            await bell.wait(after: heard, atMost: .seconds(1))
        }
    }

    static let mirrorSuffix = ".git"
    var mirrorsFolder: FilePath { settings.dataFolder.appending("mirrors") }
    var runsFolder: FilePath { settings.dataFolder.appending("runs") }

    func mirror(_ project: String) -> GitMirror { GitMirror(path: mirrorsFolder.appending(project + Self.mirrorSuffix), queue: parts.gitQueue) }

    /// The files of one run: its workspace and the logs of its ended steps.
    public func runFolder(_ run: Int64) -> FilePath { runsFolder.appending("\(run)") }

    /// Where a step's log is now: kept with the run once the step is over, with its container before.
    public func stepLog(run: Int64, step: String) -> FilePath {
        let kept = logs(of: run).log(step)
        return kept.exists ? kept.path : parts.runtime.logFile(Self.container(run: run, step: step))
    }

    func keptLog(run: Int64, step: String) -> FilePath { logs(of: run).log(step).path }

    static func container(run: Int64, step: String) -> String { "run-\(run)-\(step)" }
}
