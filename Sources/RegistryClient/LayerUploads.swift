import Dispatch
public import ImageStore
import Logging
import NIOCore
public import OCIModel
import Synchronization
public import TarArchive

/// Brings the layers and the config of an image to a registry while the image is built, so that the push that follows finds
/// them there: new layers are sent while they are written, known ones are asked for.
///
/// An advance that nobody depends on: a registry that refuses, breaks off or does not keep up never fails the build, and
/// delays it by ``patience`` at most. What did not arrive is left to the push, which says what is wrong.
///
/// Hand it to ``RegistryClient/push(_:from:to:tag:mountFrom:ahead:progress:)``; let go of before, what is still on its way is
/// given up.
public final class LayerUploads: LayerListener {
    /// What the layers travel by; a push that goes on with it need not sign in again.
    public let client: RegistryClient
    private let push: Push
    private let store: ImageStore
    private let patience: Duration
    private let uploads = Mutex<[LayerUpload]>([])
    private let known: AsyncStream<(Descriptor, isNew: Bool)>.Continuation
    private let isNew = Mutex(false)
    // Owned: it ends with `arrived`, or with this object.
    private let asking: Task<Set<Digest>, Never>

    /// - Parameters:
    ///   - store: has the known layers now, and the new ones when the build is over.
    ///   - tag: what the image is going to be called. Of the image that is called so now the registry has the blobs; when the
    ///     store has its manifest, they need not be asked for one by one.
    ///   - mountFrom: a repository of the same registry that may share its blobs.
    ///   - patience: how long a build waits for a registry that takes nothing.
    public init(
        _ client: RegistryClient, from store: ImageStore, to repository: RepositoryName, tag: Tag? = nil,
        mountFrom: RepositoryName? = nil, patience: Duration = .seconds(10)
    ) {
        let scope = Scope.push(repository.rawValue, mounting: mountFrom?.rawValue)
        let push = Push(
            client: client, source: StoreSource(store: store), repository: repository, scope: scope, mountFrom: mountFrom,
            task: "pushing a layer to \(client.host)/\(repository)", progress: nil, result: PushTally(Digest.sha256([])))
        let (blobs, known) = AsyncStream<(Descriptor, isNew: Bool)>.makeStream()
        self.client = client
        (self.push, self.store, self.patience, self.known) = (push, store, patience, known)
        asking = Task {
            var there: Set<Digest> = []
            await withTaskGroup(of: Digest?.self) { group in
                var running = 0
                var tagged: Set<Digest>?
                for await (blob, isNew) in blobs {
                    if tagged == nil { tagged = await push.blobs(of: tag) }
                    if tagged?.contains(blob.digest) == true {
                        there.insert(blob.digest)
                        continue
                    }
                    if running == RegistryClient.parallelBlobs, let one = await group.next() {
                        if let one { there.insert(one) }
                        running -= 1
                    }
                    running += 1
                    group.addTask {
                        do { try await push.blob(blob, isNew: isNew) } catch {
                            push.note(error)
                            return nil
                        }
                        return blob.digest
                    }
                }
                for await case let one? in group { there.insert(one) }
            }
            return there
        }
    }

    deinit {
        asking.cancel()
        for upload in uploads.withLock({ $0 }) { upload.giveUp() }
    }

    public func has(_ blob: Descriptor, isNew: Bool) {
        if isNew { self.isNew.withLock { $0 = true } }
        known.yield((blob, isNew))
    }

    /// Whether the image is made of something that was made just now: nobody can have it yet.
    var bringsNews: Bool { isNew.withLock { $0 } }

    public func begin() -> (any LayerSink)? {
        let upload = LayerUpload(push, patience)
        uploads.withLock { $0.append(upload) }
        return upload
    }

    /// Waits until every layer has arrived or failed to; returns those that have. The build is over.
    func arrived() async -> Set<Digest> {
        known.finish()
        var there = await withTaskCancellationHandler {
            await asking.value
        } onCancel: {
            asking.cancel()
        }
        for upload in uploads.withLock({ $0 }) {
            if let digest = await upload.arrived(from: store) { there.insert(digest) }
        }
        return there
    }
}

extension Push {
    /// What the image that the registry calls `tag` is made of; empty when that cannot be said from here.
    fileprivate func blobs(of tag: Tag?) async -> Set<Digest> {
        guard let tag, let now = try? await client.resolve(repository, .tag(tag), scope: scope, task: task),
            case .image(let manifest)? = try? await content(now.digest).kind
        else { return [] }
        return Set(ManifestContent.blobs(of: manifest).map(\.digest))
    }

    fileprivate func note(_ error: any Error) { transport.logger.info("\(task) ahead of the push: \(error)") }
}

/// One layer: a bounded queue between the threads that write it and the task that sends it.
private final class LayerUpload: LayerSink, Sendable {
    private enum Outcome {
        case arrived(Digest)
        /// The connection broke; the rest can be sent from the store.
        case broken(BlobUpload, Digest)
        case failed
    }

    /// Pieces are at most the compressed form of a block: about 1 MiB each.
    private static let waiting = 6

    private enum Piece {
        case bytes(ByteBuffer)
        case end(Descriptor)
    }

    private let pieces: AsyncStream<Piece>.Continuation
    /// Begins at 0: libdispatch ends a process that lets go of a semaphore below its first value.
    private let room = DispatchSemaphore(value: 0)
    private let isOver = Mutex(false)
    private let patience: Duration
    // Owned: it ends with `finish`, `discard` or `giveUp`.
    private let sending: Task<Outcome, Never>

    init(_ push: Push, _ patience: Duration) {
        let (stream, pieces) = AsyncStream<Piece>.makeStream()
        self.pieces = pieces
        self.patience = patience
        for _ in 0..<Self.waiting { room.signal() }
        sending = Task { [room] in
            do {
                let upload = try await push.client.beginUpload(to: push.repository, mountFrom: push.mountFrom)
                for await piece in stream {
                    switch piece {
                    case .bytes(let bytes):
                        defer { room.signal() }
                        try await upload.append(bytes)
                    case .end(let layer):
                        let isThere = try await upload.commit(layer.digest, size: layer.size)
                        return isThere ? .arrived(layer.digest) : .broken(upload, layer.digest)
                    }
                }
                await upload.cancel()
                return .failed
            } catch {
                push.note(error)
                // Whoever waits for room must not wait any longer.
                pieces.finish()
                for await _ in stream { room.signal() }
                return .failed
            }
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) {
        guard !isOver.withLock({ $0 }) else { return }
        guard room.wait(timeout: .now() + patience / .seconds(1)) == .success else { return giveUp() }
        if case .terminated = pieces.yield(.bytes(ByteBuffer(bytes: bytes))) {
            room.signal()
            isOver.withLock { $0 = true }
        }
    }

    func finish(_ layer: Descriptor) {
        pieces.yield(.end(layer))
        pieces.finish()
    }

    func discard() {
        isOver.withLock { $0 = true }
        pieces.finish()
    }

    /// At once: nothing more is said to the registry.
    func giveUp() {
        discard()
        sending.cancel()
    }

    func arrived(from store: ImageStore) async -> Digest? {
        let outcome = await withTaskCancellationHandler {
            await sending.value
        } onCancel: {
            sending.cancel()
        }
        switch outcome {
        case .arrived(let digest): return digest
        case .failed: return nil
        case .broken(let upload, let digest):
            do { try await upload.mend(from: store) } catch { return nil }
            return digest
        }
    }
}
