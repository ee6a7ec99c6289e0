import BlockingQueue
import FoundationEssentials
public import ImageStore
import OCIModel
import SystemPackage
import TarArchive

/// Builds images without a daemon: one new layer over the layers of a base, which are reused untouched.
public struct ImageBuilder: Sendable {
    private let store: ImageStore
    private let threads: Int
    private let queue = BlockingQueue(label: "image-builder", width: 2)

    /// `threads` compress (one per processor when nil); the digest does not depend on them.
    public init(store: ImageStore, threads: Int? = nil) {
        self.store = store
        self.threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    }

    /// Writes layer, config and manifest into the store. Cancellation ends the work and leaves no file behind.
    /// Throws `ImageBuilderError`, `ImageStoreError` or `TarError`.
    public func build(_ request: BuildRequest) async throws -> BuiltImage {
        let base: LoadedImage? = if let digest = request.base { try await store.load(digest, platform: request.platform) } else { nil }
        if let config = base?.config,
            config.architecture != request.platform.architecture || config.os != request.platform.os
        {
            throw ImageBuilderError(
                code: .platformMismatch,
                message: "the base is for \(config.os)/\(config.architecture), the build for \(request.platform)",
                hint: "use a base for this platform")
        }
        var document = try ConfigMerge.config(request, base: base)
        var layers = try (base?.manifest.layers ?? []).map(ConfigMerge.ociLayer)
        var written = 0
        if !request.copies.isEmpty {
            let (layer, diffID, isNew) = try await writeLayer(request, base: base, workingDirectory: document.config?.workingDir ?? "/")
            layers.append(layer)
            document.rootfs.diffIDs.append(diffID)
            if isNew { written += 1 }
        }
        let (config, configIsNew) = try await write(try OCIJSON.encode(document))
        var annotations = request.annotations
        if let base { annotations["org.opencontainers.image.base.digest"] = base.digest.description }
        let manifest = Manifest(
            config: Descriptor(mediaType: MediaType.ociConfig, digest: config.digest, size: config.size), layers: layers,
            annotations: annotations.isEmpty ? nil : annotations)
        let (stored, manifestIsNew) = try await write(try OCIJSON.encode(manifest))
        written += (configIsNew ? 1 : 0) + (manifestIsNew ? 1 : 0)
        let platform = Platform(
            architecture: document.architecture, os: document.os, variant: document.variant)
        return BuiltImage(
            manifest: Descriptor(mediaType: MediaType.ociManifest, digest: stored.digest, size: stored.size, platform: platform),
            config: config.digest, layers: layers, blobsWritten: written)
    }

    private func write(_ bytes: [UInt8]) async throws -> (Descriptor, Bool) {
        let digest = Digest.sha256(bytes)
        let isNew = try store.size(of: digest) == nil
        try await store.write(bytes, expecting: digest)
        return (Descriptor(mediaType: "", digest: digest, size: Int64(bytes.count)), isNew)
    }

    private func writeLayer(
        _ request: BuildRequest, base: LoadedImage?, workingDirectory: String
    ) async throws -> (Descriptor, Digest, Bool) {
        let file = store.temporaryPath()
        let summary = try await queue.run { cancellation in
            var tree = BaseTree()
            for (layer, diffID) in zip(base?.manifest.layers ?? [], base?.config.rootfs.diffIDs ?? []) {
                tree.add(try index(layer.digest, diffID))
            }
            var plan = try LayerPlan(base: tree, context: request.context, workingDirectory: workingDirectory)
            for copy in request.copies { try plan.add(copy) }
            let entries = plan.sorted
            return try LayerCompressor.compress(to: file, threads: threads) { sink in
                try TarWriter.write(entries, timestamp: request.timestamp, to: sink) { cancellation.isCancelled }
            }
        }
        let isNew = try store.size(of: summary.digest) == nil
        try await store.ingest(file: file, digest: summary.digest, size: summary.size)
        return (
            Descriptor(mediaType: MediaType.ociLayerGzip, digest: summary.digest, size: summary.size), summary.diffID, isNew
        )
    }

    /// The index of a base layer, from `indexes/` beside the blobs when it is there: only a cache.
    private func index(_ layer: Digest, _ diffID: Digest) throws -> BaseTree.LayerIndex {
        let folder = store.root.appending("indexes")
        let file = URL(filePath: folder.appending(diffID.hex).string)
        if let bytes = try? Data(contentsOf: file),
            let index = try? OCIJSON.decode(BaseTree.LayerIndex.self, from: Array(bytes))
        {
            return index
        }
        guard try store.size(of: layer) != nil else {
            throw ImageStoreError(
                code: .notFound, message: "base layer \(layer) is not in the store", hint: "pull the base image first")
        }
        let index = try BaseTree.LayerIndex(layer: store.path(of: layer), expecting: diffID)
        try? FileManager.default.createDirectory(atPath: folder.string, withIntermediateDirectories: true)
        try? Data(OCIJSON.encode(index)).write(to: file, options: .atomic)
        return index
    }
}
