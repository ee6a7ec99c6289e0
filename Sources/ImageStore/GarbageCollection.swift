import BlockingQueue
import Glibc
import OCIModel
public import SystemPackage

extension ImageStore {
    /// Removes what nothing refers to. Pushes, pulls and builds go on meanwhile, also in other processes: content that
    /// they declared to use since the collection began is left alone (see `ImageStore+Collecting.swift`), so that no
    /// manifest ever loses anything it refers to. Another collection of the store is waited for, also one of another process.
    /// Cancellation ends it between two removals.
    ///
    /// - Parameters:
    ///   - snapshots: the unpacked layers to clear too.
    ///   - containers: the folder of the containers, whose layers are in use.
    public func collect(
        _ policy: CollectionPolicy, snapshots: Snapshots? = nil, containers: FilePath? = nil
    ) async throws -> CollectionReport {
        try await collection.run { cancellation in
            let clock = ContinuousClock()
            let begun = clock.now
            let turn = try takeTurn(cancellation)
            defer { _ = turn.descriptor }
            var collection = try GarbageCollection(store: self, policy: policy, cancellation: cancellation)
            try collection.removeStaleUploads()
            try collection.applyRetention()
            try collection.mark()
            try collection.sweepBlobs()
            try collection.sweepRepositories()
            try collection.sweepCaches()
            if let snapshots { try collection.sweep(snapshots, usedBy: containers) }
            collection.report.seconds = (clock.now - begun) / .seconds(1)
            return collection.report
        }
    }
}

extension ImageStore {
    /// Two collections would clear away each other's halves.
    private func takeTurn(_ cancellation: Cancellation) throws -> Files.Handle {
        let file = root.appending("collection.turn")
        var handle = try Files.open(file, O_RDWR | O_CREAT)
        while !handle.lock(LOCK_EX | LOCK_NB) {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw Files.failure("lock", file) }
            if cancellation.isCancelled { throw CancellationError() }
            usleep(20_000)
        }
        return handle
    }
}

/// One garbage collection on its way. Blocking.
struct GarbageCollection {
    let store: ImageStore
    let policy: CollectionPolicy
    let cancellation: Cancellation
    /// Nanoseconds since 1970, when it began.
    let begun: Int64
    /// What was changed before may go.
    let cutoff: Int64

    var report = CollectionReport()
    /// Manifests that retention removed, or would remove, by repository.
    var dropped: [RepositoryName: Set<Digest>] = [:]
    /// Everything some manifest or pin refers to.
    var live: Set<Digest> = []
    /// The same by repository, for its blobs.
    var liveIn: [RepositoryName: Set<Digest>] = [:]
    var liveLayers: Set<Digest> = []

    /// Removals under one hold of the lock.
    static let batch = 64

    init(store: ImageStore, policy: CollectionPolicy, cancellation: Cancellation) throws {
        self.store = store
        self.policy = policy
        self.cancellation = cancellation
        // Under the lock: whoever renews content and then refers to it has done both before now, or does both after.
        begun = try store.excluding { Files.now().nanoseconds }
        cutoff = begun - policy.grace.nanoseconds
        report.dryRun = policy.dryRun
    }

    /// Whether a file was changed before `time`; false when it is gone.
    func isOlder(_ path: FilePath, than time: Int64) throws -> Bool {
        guard let modified = try Files.modified(path) else { return false }
        return modified.nanoseconds < time
    }

    /// Calls `remove` for the candidates that are still old once nobody can renew them. Returns those that went.
    func removing<T>(
        _ candidates: [T], at path: (T) -> FilePath, than time: Int64? = nil, _ remove: (T, FilePath) throws -> Bool
    ) throws -> [T] {
        let time = time ?? cutoff
        let old = try candidates.filter { try isOlder(path($0), than: time) }
        if policy.dryRun { return old }
        var gone: [T] = []
        var rest = old[...]
        while !rest.isEmpty {
            if cancellation.isCancelled { throw CancellationError() }
            let batch = rest.prefix(Self.batch)
            rest = rest.dropFirst(batch.count)
            try store.excluding {
                for candidate in batch {
                    let file = path(candidate)
                    if try isOlder(file, than: time), try remove(candidate, file) { gone.append(candidate) }
                }
            }
        }
        return gone
    }

    mutating func removeStaleUploads() throws {
        let time = begun - policy.uploadExpiry.nanoseconds
        for name in try Files.names(in: store.uploads) ?? [] {
            let path = store.uploads.appending(name)
            guard try isOlder(path, than: time) else { continue }
            if !policy.dryRun {
                // Someone may be about to go on with it: whoever writes holds its lock.
                guard var handle = try? Files.open(path, O_RDWR), handle.lock(LOCK_EX | LOCK_NB),
                    try isOlder(path, than: time), try Files.unlink(path)
                else { continue }
            }
            report.uploadsRemoved += 1
            report.note("upload \(name)")
        }
    }
}

extension timespec {
    var nanoseconds: Int64 { Int64(tv_sec) * 1_000_000_000 + Int64(tv_nsec) }
}

extension Duration {
    /// Bounded, so that "for ever" is a time.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return min(max(seconds, 0), 4_000_000_000) * 1_000_000_000 + max(attoseconds, 0) / 1_000_000_000
    }
}
