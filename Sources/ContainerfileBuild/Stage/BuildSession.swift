import BlockingQueue
import ContainerRuntime
import Containerfile
import FoundationEssentials
import Glibc
import ImageStore
import OCIModel
import Synchronization
import SystemPackage

/// What all stages of one build share.
final class BuildSession: Sendable {
    let request: ContainerfileBuildRequest
    let parts: ContainerfileBuilder.Parts
    /// Begins the ids of the build's containers.
    let id: String
    let context: BuildFolder
    /// A folder that is removed when the build ends.
    let temporary: FilePath
    let layers: LayerWriter
    let cache: BuildCache
    let queue: BlockingQueue
    let report: @Sendable (BuildEvent) async -> Void
    private let counters = Mutex(Counters())

    private struct Counters {
        var numbers = 0
        var run = 0
        var cached = 0
        var keys: [Digest] = []
    }

    init(
        _ request: ContainerfileBuildRequest, parts: ContainerfileBuilder.Parts, id: String, context: BuildFolder, temporary: FilePath,
        report: @escaping @Sendable (BuildEvent) async -> Void
    ) {
        self.request = request
        self.parts = parts
        self.id = id
        self.context = context
        self.temporary = temporary
        self.report = report
        queue = BlockingQueue(label: "containerfile-build", width: 4)
        layers = LayerWriter(store: parts.store, threads: parts.threads, queue: queue, timestamp: request.timestamp, compression: request.compression)
        cache = BuildCache(folder: parts.folder.appending("cache"), store: parts.store)
    }

    var steps: (run: Int, cached: Int) { counters.withLock { ($0.run, $0.cached) } }

    /// The keys of all steps so far.
    var keys: [Digest] { counters.withLock { $0.keys } }

    func newContainer() -> String { "\(id)-\(nextNumber())" }

    /// A name for a new file or folder in ``temporary``.
    func newTemporary() -> FilePath { temporary.appending("\(nextNumber())") }

    private func nextNumber() -> Int {
        counters.withLock { counters in
            counters.numbers += 1
            return counters.numbers
        }
    }

    /// The layers as overlayfs wants them; unpacks what is not.
    func folders(of layers: [BuiltLayer]) async throws -> [String] {
        try await parts.snapshots.prepare(layers.map { ($0.descriptor, $0.diffID) }).map(\.string)
    }

    /// Lends layers put together to one writable root.
    func withRoot<T: Sendable>(
        of layers: [BuiltLayer], _ body: @Sendable (MountedRoot) async throws -> T
    ) async throws -> T {
        let folders = try await folders(of: layers)
        let id = newContainer()
        let root = try await parts.runtime.mountRoot(id, layers: folders)
        let result: Result<T, any Error>
        do { result = .success(try await body(root)) } catch { result = .failure(error) }
        try await remove(id)
        return try result.get()
    }

    /// What was written as a layer; nil when nothing was.
    func layer(of changes: FilePath) async throws -> BuiltLayer? {
        try await refuseSecrets(in: changes)
        return try await layers.layer(of: changes)
    }

    /// Removes a container, also when the build was cancelled.
    func remove(_ container: String) async throws {
        let runtime = parts.runtime
        // A task of its own, awaited at once, because this one may be cancelled and the container must go all the same.
        try await Task { try await runtime.remove(container) }.value
    }

    /// Takes what an earlier build made of the same key, else makes it and remembers it.
    func layer(
        for key: Digest, _ make: () async throws -> BuiltLayer?
    ) async throws -> (layer: BuiltLayer?, outcome: BuildEvent.Outcome) {
        counters.withLock { $0.keys.append(key) }
        if request.usesCache, let record = try await cache.record(key) {
            counters.withLock { $0.cached += 1 }
            return (record.layer, .cached)
        }
        let layer = try await make()
        try cache.put(BuildCache.Record(layer: layer), for: key)
        counters.withLock { $0.run += 1 }
        return (layer, .done)
    }

    /// RFC 3339, of the request's timestamp.
    var created: String { Date(timeIntervalSince1970: Double(request.timestamp)).formatted(.iso8601) }
}
