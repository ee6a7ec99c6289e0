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

/// Unpacked layers, shared by every image that holds them. A folder appears by rename when it is complete and on
/// disk; the folder above keeps other users away from setuid programs inside.
///
///     <root>/<diffID hex>/                a layer that says everything itself
///     <root>/<diffID hex>-<chainID hex>/  one that leans on the layers below it, and is right only over those
public struct Snapshots: Sendable {
    public let root: FilePath
    let store: ImageStore
    private let queue = BlockingQueue(label: "snapshots", width: 8)
    private let options: LayerExtractor.Options

    /// Layers may be as large as the store allows.
    public init(root: FilePath, store: ImageStore) {
        var options = LayerExtractor.Options()
        options.limits = store.limits
        self.init(root: root, store: store, options: options)
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
        let layers = try await prepare(zip(loaded.manifest.layers, loaded.config.rootfs.diffIDs).map { ($0, $1) })
        return UnpackedImage(manifest: loaded.digest, config: loaded.config, layers: layers)
    }

    /// Unpacks what is missing of layers, lowest first, and returns where they are. Otherwise as ``prepare(_:platform:)``.
    public func prepare(_ layers: [(layer: Descriptor, diffID: Digest)]) async throws -> [FilePath] {
        var folders: [FilePath] = []
        var chain: Digest?
        for (layer, diffID) in layers {
            // ChainID (image-spec, config.md, "Layer ChainID").
            let next = chain.map { Digest.sha256(Array("\($0) \(diffID)".utf8)) } ?? diffID
            let place = Place(root: root, diffID: diffID, chain: next)
            if let path = try await queue.run({ _ in try renewed(place) }) {
                folders.append(path)
            } else {
                folders.append(try await unpack(layer, diffID, place, over: folders))
            }
            chain = next
        }
        return folders
    }

    /// Removes the unpacked layer, over whatever it was unpacked. The caller knows that no container uses it. False when it
    /// was not there.
    @discardableResult
    public func remove(diffID: Digest) async throws -> Bool {
        try await queue.run { _ in
            let names = try (Files.names(in: root) ?? []).filter { $0 == diffID.hex || $0.hasPrefix("\(diffID.hex)-") }
            for name in names {
                let doomed = root.appending("tmp-\(Files.uniqueName())")
                try Files.rename(root.appending(name), doomed)
                try ExtractedFolder.remove(doomed)
            }
            return !names.isEmpty
        }
    }

    /// Where a layer lies once it is unpacked.
    private struct Place: Sendable {
        let root: FilePath
        let diffID: Digest
        let chain: Digest

        /// The folder of a layer that says everything itself, and of one that does not.
        var alone: FilePath { root.appending(diffID.hex) }
        var chained: FilePath { root.appending("\(diffID.hex)-\(chain.hex)") }
        var existing: FilePath? { [alone, chained].first(where: Self.isFolder) }

        private static func isFolder(_ path: FilePath) -> Bool {
            var status = stat()
            return path.withPlatformString { lstat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFDIR
        }
    }

    /// Where the layer lies already, in use from now on, see `ImageStore+Collecting.swift`.
    private func renewed(_ place: Place) throws -> FilePath? {
        try store.sharing { try place.existing.flatMap { try Files.touch($0) ? $0 : nil } }
    }

    private func unpack(_ layer: Descriptor, _ diffID: Digest, _ place: Place, over lower: [FilePath]) async throws -> FilePath {
        let kind = try LayerKind(layer)
        let blob = store.path(of: layer.digest)
        guard let size = try store.size(of: layer.digest) else {
            guard kind.isForeign else { throw store.absent(layer.digest) }
            throw ImageStoreError(
                code: .notFound, message: "the foreign layer \(layer.digest) is not in the store",
                hint: "registries do not carry it; fetch it from \(layer.urls?.first ?? "its publisher") and import the image from a file")
        }
        guard size == layer.size else {
            throw ImageStoreError(
                code: .sizeMismatch, message: "layer \(layer.digest) has \(size) bytes, its manifest says \(layer.size)",
                hint: "the image is damaged; pull it again")
        }
        var options = options
        options.compression = kind.compression
        let extractor = LayerExtractor(options: options)
        // A waiter occupies a thread of this queue; the lock holder already has its own.
        return try await queue.run { cancellation in
            try Files.createFolder(root, mode: 0o700)
            let lockPath = root.appending(".\(diffID.hex).lock")
            var lock = try Files.open(lockPath, O_RDWR | O_CREAT, mode: 0o600)
            while !lock.lock(LOCK_EX | LOCK_NB) {
                guard errno == EWOULDBLOCK || errno == EINTR else { throw Files.failure("lock", lockPath) }
                if cancellation.isCancelled { throw CancellationError() }
                usleep(10_000)
            }
            if let path = try renewed(place) { return path }
            let temporary = root.appending("tmp-\(diffID.hex)")
            // Left behind by a process that died; we hold the lock.
            try ExtractedFolder.remove(temporary)
            try Files.createFolder(temporary, mode: 0o755)
            do {
                guard temporary.withPlatformString({ chmod($0, 0o755) }) == 0 else { throw Files.failure("set the mode of", temporary) }
                let below = LowerLayers(folders: lower.reversed())
                let result = try extractor.extract(blob, to: temporary, over: below, expecting: diffID) { cancellation.isCancelled }
                try ExtractedFolder.sync(temporary)
                let target = result.isSelfContained ? place.alone : place.chained
                _ = try Files.touch(temporary)
                try Files.rename(temporary, target)
                try Files.syncFolder(root)
                return target
            } catch {
                try? ExtractedFolder.remove(temporary)
                throw error
            }
        }
    }
}
