import BlockingQueue
import Glibc
public import OCIModel
public import SystemPackage
public import TarArchive

/// An image whose layers lie unpacked on disk.
public struct UnpackedImage: Sendable {
    /// The manifest of this machine's platform (never an index).
    public let manifest: Digest
    public let config: ImageConfig
    /// Layer folders, lowest first, as overlayfs `lowerdir` wants them reversed.
    public let layers: [FilePath]
}

/// Unpacked layers, `<root>/<diffID hex>/`, shared by every image that holds the layer. A folder appears by rename
/// when it is complete and on disk; the folder above keeps other users away from setuid programs inside.
public struct Snapshots: Sendable {
    public let root: FilePath
    let store: ImageStore
    private let queue = BlockingQueue(label: "snapshots", width: 8)
    private let options: LayerExtractor.Options

    public init(root: FilePath, store: ImageStore) {
        self.init(root: root, store: store, options: LayerExtractor.Options())
    }

    public init(root: FilePath, store: ImageStore, options: LayerExtractor.Options) {
        self.root = root
        self.store = store
        self.options = options
    }

    /// Unpacks what is missing of an image in the store and returns where it is. Callers at the same time, also in
    /// other processes, unpack a layer once. `image` may name an index: then `platform` (this machine's when nil)
    /// chooses. Throws `ImageStoreError` or `TarError`.
    public func prepare(_ image: Digest, platform: Platform? = nil) async throws -> UnpackedImage {
        let loaded = try await store.load(image, platform: platform)
        var layers: [FilePath] = []
        for (layer, diffID) in zip(loaded.manifest.layers, loaded.config.rootfs.diffIDs) {
            layers.append(try await prepare(layer: layer, diffID: diffID))
        }
        return UnpackedImage(manifest: loaded.digest, config: loaded.config, layers: layers)
    }

    /// Unpacks one layer unless it is there, and returns its folder. Otherwise as ``prepare(_:platform:)``.
    public func prepare(layer: Descriptor, diffID: Digest) async throws -> FilePath {
        let path = root.appending(diffID.hex)
        if !isFolder(path) { try await unpack(layer, diffID) }
        return path
    }

    /// Removes the unpacked layer. The caller knows that no container uses it. False when it was not there.
    @discardableResult
    public func remove(diffID: Digest) async throws -> Bool {
        try await queue.run { _ in
            let path = root.appending(diffID.hex)
            guard isFolder(path) else { return false }
            let doomed = root.appending("tmp-\(Files.uniqueName())")
            try Files.rename(path, doomed)
            try ExtractedFolder.remove(doomed)
            return true
        }
    }

    private func isFolder(_ path: FilePath) -> Bool {
        var status = stat()
        return path.withPlatformString { lstat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private func unpack(_ layer: Descriptor, _ diffID: Digest) async throws {
        let blob = store.path(of: layer.digest)
        guard let size = try store.size(of: layer.digest) else { throw store.absent(layer.digest) }
        guard size == layer.size else {
            throw ImageStoreError(
                code: .sizeMismatch, message: "layer \(layer.digest) has \(size) bytes, its manifest says \(layer.size)",
                hint: "the image is damaged; pull it again")
        }
        // A waiter occupies a thread of this queue; the lock holder already has its own.
        try await queue.run { cancellation in
            try Files.createFolder(root, mode: 0o700)
            let lockPath = root.appending(".\(diffID.hex).lock")
            let lock = try Files.open(lockPath, O_RDWR | O_CREAT, mode: 0o600)
            while flock(lock.descriptor, LOCK_EX | LOCK_NB) != 0 {
                guard errno == EWOULDBLOCK || errno == EINTR else { throw Files.failure("lock", lockPath) }
                if cancellation.isCancelled { throw CancellationError() }
                usleep(10_000)
            }
            let target = root.appending(diffID.hex)
            if isFolder(target) { return }
            let temporary = root.appending("tmp-\(diffID.hex)")
            // Left behind by a process that died; we hold the lock.
            try ExtractedFolder.remove(temporary)
            try Files.createFolder(temporary, mode: 0o755)
            do {
                guard temporary.withPlatformString({ chmod($0, 0o755) }) == 0 else { throw Files.failure("set the mode of", temporary) }
                try LayerExtractor(options: options).extract(blob, to: temporary, expecting: diffID) { cancellation.isCancelled }
                try ExtractedFolder.sync(temporary)
                try Files.rename(temporary, target)
                try Files.syncFolder(root)
            } catch {
                try? ExtractedFolder.remove(temporary)
                throw error
            }
        }
    }
}
