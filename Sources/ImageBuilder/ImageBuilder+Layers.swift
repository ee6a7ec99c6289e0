import BlockingQueue
import ImageStore
import OCIModel
import SystemPackage
import TarArchive

extension ImageBuilder {
    struct MadeLayers: Sendable {
        var layers: [LayerCache.Layer] = []
        var sources: [CopySource] = []
        /// How many were new to the store.
        var written = 0
    }

    /// One layer per copy, from the cache or anew.
    func write(
        _ sources: [CopySource], _ request: BuildRequest, over base: LoadedImage?, workingDirectory: String,
        _ listener: (any LayerListener)?
    ) async throws -> MadeLayers {
        guard !sources.isEmpty else { return MadeLayers() }
        var tree = BaseTree()
        if let base {
            tree = try await queue.run { _ in
                var tree = BaseTree()
                for (layer, diffID) in zip(base.manifest.layers, base.config.rootfs.diffIDs) {
                    tree.add(try cache.index(of: layer, diffID))
                }
                return tree
            }
        }
        let bottom = tree
        // A layer goes to disk while the next one is made.
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            var tree = bottom
            var made = MadeLayers()
            for (number, source) in sources.enumerated() {
                let isLast = number == sources.count - 1
                let below = tree
                var one = try await queue.run { cancellation in
                    try layer(source, request, over: below, workingDirectory, isLast: isLast, listener) { cancellation.isCancelled }
                }
                if one.file == nil, try await store.renew(one.layer.descriptor.digest) == nil {
                    // Collected since it was looked up.
                    one = try await queue.run { cancellation in
                        try layer(source, request, over: below, workingDirectory, isLast: isLast, listener, mayReuse: false) {
                            cancellation.isCancelled
                        }
                    }
                }
                let finished = one
                if !isLast, let index = finished.index { tree.add(index) }
                made.layers.append(finished.layer)
                made.sources.append(finished.source)
                guard let file = finished.file else {
                    listener?.has(finished.layer.descriptor, isNew: false)
                    continue
                }
                group.addTask {
                    let layer = finished.layer.descriptor
                    let isNew = try store.size(of: layer.digest) == nil
                    try await store.ingest(file: file, digest: layer.digest, size: layer.size)
                    try await queue.run { _ in finished.keep(in: cache) }
                    return isNew
                }
            }
            for try await isNew in group where isNew { made.written += 1 }
            return made
        }
    }

    /// A layer that is in the store, or in a file that is to go there.
    private struct OneLayer: Sendable {
        let layer: LayerCache.Layer
        let source: CopySource
        var file: FilePath?
        /// Of a layer that others are built upon.
        var index: LayerIndex?
        var settings: Digest
        var key: Digest?

        /// Only once the blob is in the store.
        func keep(in cache: LayerCache) {
            guard file != nil else { return }
            if let index { cache.keep(index, of: layer.diffID) }
            if let key { cache.keep(layer, as: key, settings: settings) }
            source.keepIndex(in: cache)
        }
    }

    /// Blocking.
    private func layer(
        _ given: CopySource, _ request: BuildRequest, over given_tree: BaseTree, _ workingDirectory: String, isLast: Bool,
        _ listener: (any LayerListener)?, mayReuse: Bool = true, isCancelled: @escaping () -> Bool
    ) throws -> OneLayer {
        var source = given
        var tree = given_tree
        let destination = try LayerPlan.destination(source.copy, workingDirectory: workingDirectory)
        var place = source.settings
        place.add(destination)
        try tree.addTraits(of: BaseTree.normal(destination), to: &place)
        let settings = place.finalize()
        // Where layers of these settings are known, reading the files may save compressing them.
        if source.contentKey == nil, cache.hasSeen(settings) { try source.readFiles(cache.hashKey(), isCancelled) }
        if let content = source.contentKey {
            let key = Self.key(place, content)
            if mayReuse, let known = cache.layer(key) {
                source.keepIndex(in: cache)
                let index = isLast ? nil : try cache.index(of: known.descriptor, known.diffID)
                return OneLayer(layer: known, source: source, index: index, settings: settings, key: key)
            }
        }
        let nodes = try source.scan(cache, isCancelled)
        let path = source.path
        let items = try LayerPlan.items(nodes, of: path, to: destination, source.copy, over: tree)
        let entries = items.lazy.map { LayerPlan.entry($0, nodes, of: path) }
        var observers: [any TarObserver] = []
        let hashes = source.contentKey == nil ? ContentHashes(try cache.hashKey()) : nil
        if let hashes { observers.append(hashes) }
        if let search = SecretSearch(forms: request.secrets.flatMap(SecretForms.forms)) { observers.append(search) }
        let file = store.temporaryPath()
        let sink = listener?.begin()
        let summary: LayerSummary
        do {
            summary = try LayerCompressor.compress(
                to: file, compression: request.compression, threads: threads, consumer: sink
            ) { archive in
                try TarWriter.write(
                    entries, timestamp: request.fileTimestamp ?? request.timestamp, to: archive, observers: observers,
                    isCancelled: isCancelled)
            }
            sink?.finish(summary.descriptor)
        } catch {
            sink?.discard()
            CacheFiles.remove(file)
            throw error
        }
        if let hashes { source.take(hashes, items) }
        let layer = LayerCache.Layer(descriptor: summary.descriptor, diffID: summary.diffID)
        return OneLayer(
            layer: layer, source: source, file: file, index: isLast ? nil : LayerIndex(entries, over: tree), settings: settings,
            key: source.contentKey.map { Self.key(place, $0) })
    }

    private static func key(_ place: CacheKey, _ content: ContentHash) -> Digest {
        var key = place
        key.add(content)
        return key.finalize()
    }
}
