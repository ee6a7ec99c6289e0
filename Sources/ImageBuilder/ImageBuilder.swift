import BlockingQueue
import FoundationEssentials
public import ImageStore
import OCIModel
import SystemPackage
public import TarArchive

/// Builds images without a daemon: a layer per copy over the layers of a base, which are reused untouched. What was built
/// before is not built again.
public struct ImageBuilder: Sendable {
    let store: ImageStore
    let threads: Int
    let cache: LayerCache
    let queue = BlockingQueue(label: "image-builder", width: 2)

    /// `threads` compress (one per processor when nil); the digest does not depend on them.
    public init(store: ImageStore, threads: Int? = nil) {
        self.store = store
        self.threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
        cache = LayerCache(store: store)
    }

    /// Writes layers, config and manifest into the store. Cancellation ends the work and leaves no file behind.
    /// Throws `ImageBuilderError`, `ImageStoreError` or `TarError`.
    ///
    /// - Parameter layers: sees the layers while they are written, for instance to send them on; nil when nobody does.
    public func build(_ request: BuildRequest, layers listener: (any LayerListener)? = nil) async throws -> BuiltImage {
        let sources = try await look(at: request)
        let known = try await queue.run { _ in try imageKey(request, sources).flatMap(cache.image) }
        if let known, try await renew(known) { return known }
        return try await assemble(request, sources, listener)
    }

    /// Finds out what of each copy changed; side by side, as it is the file system that takes the time.
    private func look(at request: BuildRequest) async throws -> [CopySource] {
        try await withThrowingTaskGroup(of: (Int, CopySource).self) { group in
            for (number, copy) in request.copies.enumerated() {
                group.addTask {
                    try await queue.run { cancellation in
                        (number, try CopySource(copy, request, cache) { cancellation.isCancelled })
                    }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private func assemble(
        _ request: BuildRequest, _ sources: [CopySource], _ listener: (any LayerListener)?
    ) async throws -> BuiltImage {
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
        let baseLayers = layers.count
        for layer in layers { listener?.has(layer, isNew: false) }
        let workingDirectory = document.config?.workingDir ?? "/"
        let made = try await write(sources, request, over: base, workingDirectory: workingDirectory, listener)
        layers += made.layers.map(\.descriptor)
        document.rootfs.diffIDs += made.layers.map(\.diffID)
        let (config, configIsNew) = try await write(try OCIJSON.encode(document), as: MediaType.ociConfig)
        listener?.has(config, isNew: made.written > 0)
        var annotations = request.annotations
        if let base {
            annotations["org.opencontainers.image.base.digest"] = base.digest.description
            if let name = request.baseName { annotations["org.opencontainers.image.base.name"] = name }
        }
        let manifest = Manifest(config: config, layers: layers, annotations: annotations.isEmpty ? nil : annotations)
        var (stored, manifestIsNew) = try await write(try OCIJSON.encode(manifest), as: MediaType.ociManifest)
        stored.platform = Platform(architecture: document.architecture, os: document.os, variant: document.variant)
        let image = BuiltImage(
            manifest: stored, config: config.digest, layers: layers,
            blobsWritten: made.written + (configIsNew ? 1 : 0) + (manifestIsNew ? 1 : 0))
        // Files that were read while they were written are known now.
        let finished = made.sources
        try await queue.run { _ in
            if let key = try imageKey(request, finished) { cache.keep(image, config: config, baseLayers: baseLayers, as: key) }
        }
        return image
    }

    /// Tells a garbage collection that an image's content is needed again; false when some of it is gone already. The base's
    /// layers need not be here.
    private func renew(_ image: BuiltImage) async throws -> Bool {
        for digest in [image.manifest.digest, image.config] { if try await store.renew(digest) == nil { return false } }
        for layer in image.layers where try store.size(of: layer.digest) != nil {
            if try await store.renew(layer.digest) == nil { return false }
        }
        return true
    }

    func write(_ bytes: [UInt8], as mediaType: String) async throws -> (Descriptor, Bool) {
        let digest = Digest.sha256(bytes)
        let isNew = try store.size(of: digest) == nil
        try await store.write(bytes, expecting: digest)
        return (Descriptor(mediaType: mediaType, digest: digest, size: Int64(bytes.count)), isNew)
    }

    /// Everything an image depends on; nil while the content of a source is not known.
    private func imageKey(_ request: BuildRequest, _ sources: [CopySource]) throws -> Digest? {
        var key = CacheKey("image")
        key.add(LayerCache.version)
        for source in sources {
            guard let content = source.contentKey else { return nil }
            key.add(source.settings.finalize().hex)
            key.add(content)
            key.add(source.historyName)
        }
        key.add(request.base?.description)
        key.add(request.baseName)
        key.add(request.entrypoint)
        key.add(request.cmd)
        key.add(request.environment)
        key.add(request.user)
        key.add(request.workingDirectory)
        key.add(request.ports)
        key.add(request.labels)
        key.add(request.annotations)
        key.add(request.timestamp)
        key.add(request.platform.description)
        return key.finalize()
    }
}
