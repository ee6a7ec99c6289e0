import BlockingQueue
import ContainerRuntime
import ContainerfileBuild
import DeliveryModel
import Deployer
import Foundation
import GitRepository
import ImageBuilder
import ImageStore
import Logging
import NIOPosix
import OCIModel
import Recorder
import RegistryClient
import ServiceLifecycle
import StateSQLite
import StateStore
import Synchronization
import SystemPackage
import Testing

@testable import PipelineEngine

/// An engine over a real store in a temporary folder, with a clock the test moves. Nothing of it runs by itself.
final class EngineFixture: Sendable {
    let folder: URL
    let store: SQLiteStore
    let engine: PipelineEngine
    let secrets: SecretBox
    let connections = RegistryConnections(connectTimeout: .seconds(30))
    private let time: TimeBox

    init(leaseSeconds: Double = 10, outbox: OutboxPolicy = OutboxPolicy(base: .seconds(1), timeout: .seconds(60))) throws {
        GitLibrary.initialise()
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("slipway-engine-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        self.folder = folder
        let root = FilePath(folder.path)
        let time = TimeBox()
        self.time = time
        store = try SQLiteStore(file: root.appending("slipway.db")) { time.now }
        secrets = try SecretBox(key: SecretBox.newKey())
        let images = try ImageStore(root: root)
        let snapshots = Snapshots(root: root.appending("snapshots"), store: images)
        var settings = RuntimeSettings()
        settings.stateFolder = root.appending("state")
        let runtime = ContainerRuntime(root: root.appending("containers"), settings: settings)
        let target = HostTarget(runtime: runtime, snapshots: snapshots)
        let probe = NoProbe()
        let router = try NginxRouter(folder: root.appending("router"), settings: NginxSettings(listenPort: 1), probe: probe)
        let connections = connections
        engine = PipelineEngine(
            parts: .init(
                store: store, secrets: secrets, images: images, snapshots: snapshots, builder: ImageBuilder(store: images),
                containerfileBuilder: { source in
                    ContainerfileBuilder(
                        store: images, snapshots: snapshots, runtime: runtime, folder: root.appending("builds"), images: source)
                },
                runtime: runtime, rollout: Rollout(targets: ["local": target], router: router, probe: probe, now: { time.now }), led: [Idle()],
                registries: NoRegistries(), gitQueue: BlockingQueue(label: "git", width: 2), connections: connections,
                clock: { time.now }),
            settings: .init(
                dataFolder: root, holder: "test", leaseSeconds: leaseSeconds, publicURL: "https://slipway.example.org", outbox: outbox),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func advance(_ seconds: Double) { time.advance(seconds) }
    var now: Double { time.now }

    /// Has `work` running while `body` looks on; once in a test, as nothing can be sent afterwards.
    func with(_ work: @escaping @Sendable (PipelineEngine) async -> Void, _ body: () async throws -> Void) async throws {
        let engine = engine
        let task = Task { await work(engine) }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        task.cancel()
        await task.value
        try await connections.shutdown()
        try result.get()
    }

    func project(_ name: String = "gtin", url: String = "/srv/gtin.git") async throws {
        try await store.add(Project(name: name, url: url, sealedSecret: Data([1]), createdAt: 0))
    }

    @discardableResult
    func webhook(_ url: String, events: [String] = [], secret: String = "s3cret") async throws -> Int64 {
        let sealed = try secrets.seal(secret, context: PipelineEngine.notifyContext("gtin"))
        return try await store.save(
            NewOutboxTarget(project: "gtin", kind: .webhook, url: url, events: events, sealedSecret: Data(sealed)))
    }

    /// A queued run of one delivery; it is announced.
    @discardableResult
    func queueRun(_ id: String, commit: Character = "a", pipeline: String = "main") async throws -> Int64 {
        let accepted = try await store.accept(
            NewDelivery(project: "gtin", forge: "plain", forgeID: id, headers: [:], body: [], event: "push"))
        guard case .accepted(let delivery) = accepted else { throw CancellationError() }
        let run = NewRun(
            project: "gtin", pipeline: pipeline, trigger: "plain:\(id)", event: "push", commit: String(repeating: commit, count: 40),
            branch: "main", author: "Ada", message: "Sell boats", commitTime: 1, plan: "{}", diagnostic: nil, steps: [])
        return try #require(try await store.finishDelivery(delivery, outcome: "runs: main", runs: [run]).first)
    }

    /// Claims the oldest run and ends it.
    func endRun(_ state: RunState, error: String? = nil) async throws {
        let run = try #require(try await store.claimRun(holder: "test", leaseSeconds: 10))
        advance(3)
        let done = try await store.advanceRun(
            run.id, epoch: run.epoch, by: RunChange(end: RunEnd(state, error: error)), release: nil)
        #expect(done)
    }

    func messages(_ states: OutboxMessage.State...) async throws -> [OutboxMessage] {
        try await store.messages(project: nil, states: states.isEmpty ? OutboxMessage.State.allCases : states, limit: 100).reversed()
    }
}

private final class TimeBox: Sendable {
    private let time = Mutex(1_800_000_000.0)
    var now: Double { time.withLock { $0 } }
    func advance(_ seconds: Double) { time.withLock { $0 += seconds } }
}

private struct Idle: Service { func run() async throws {} }

private struct NoProbe: HTTPProbe {
    func get(_ question: ProbeQuestion) async throws -> ProbeAnswer { throw CancellationError() }
    func connect(_ address: String, port: Int, timeout: Duration) async throws { throw CancellationError() }
}

private struct NoRegistries: Registries {
    struct None: Error {}
    func pull(_ reference: ImageReference, into store: ImageStore) async throws -> Digest { throw None() }
    func uploads(from store: ImageStore, to reference: ImageReference, base: ImageReference?) throws -> LayerUploads? { nil }
    func push(
        _ image: Digest, from store: ImageStore, to reference: ImageReference, ahead: LayerUploads?,
        mayTag: @escaping @Sendable () throws -> Void
    ) async throws { throw None() }
}

/// Asks until the answer is yes, at most `seconds`.
func until(_ what: String, seconds: Double = 90, _ question: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while try await !question() {
        try #require(ContinuousClock.now < deadline, "waited \(Int(seconds)) s in vain: \(what)")
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// A receiver on a free port, for the length of `body`.
func withRecorder<R>(
    _ rule: @escaping Recorder.Rule = { _, _ in .answer(204) }, _ body: (Recorder) async throws -> R
) async throws -> R {
    let recorder = try await Recorder.start(port: 0, rule)
    do {
        let result = try await body(recorder)
        try await recorder.stop()
        return result
    } catch {
        try? await recorder.stop()
        throw error
    }
}
