import ImageStore
public import OCIModel
import SystemPackage

/// What a build made and took from its cache, as an OCI artifact: so that another machine need not do it again.
private struct CacheDocument: Codable {
    struct Entry: Codable {
        var key: Digest
        var record: BuildCache.Record
    }

    var version: String
    var entries: [Entry]
}

extension ContainerfileBuilder {
    /// Of the artifact and of its config, which holds the keys; the layers are the artifact's layers.
    public static let cacheType = "application/vnd.slipway.build-cache.v1+json"

    /// Writes the cache of one build into the store and returns its manifest.
    public func exportCache(of image: ContainerfileImage) async throws -> Descriptor {
        let cache = BuildCache(folder: parts.folder.appending("cache"), store: parts.store)
        var entries: [CacheDocument.Entry] = []
        var layers: [Descriptor] = []
        for key in image.cacheKeys.sorted() {
            guard let record = try await cache.record(key) else { continue }
            entries.append(.init(key: key, record: record))
            if let layer = record.layer?.descriptor, !layers.contains(layer) { layers.append(layer) }
        }
        let config = try await write(
            try OCIJSON.encode(CacheDocument(version: CacheKey.version, entries: entries)), Self.cacheType)
        let manifest = Manifest(artifactType: Self.cacheType, config: config, layers: layers)
        return try await write(try OCIJSON.encode(manifest), MediaType.ociManifest)
    }

    /// Takes over the cache another machine exported; manifest, config and layers must be in the store. Returns how many
    /// steps it knows. Of another version of Slipway it knows none.
    @discardableResult
    public func importCache(_ manifest: Digest) async throws -> Int {
        let document = try OCIJSON.decode(Manifest.self, from: try await parts.store.read(manifest))
        guard document.config.mediaType == Self.cacheType else {
            throw ContainerfileBuildError(
                .invalidValue, "\(manifest) is no build cache, but of type \(document.config.mediaType)", hint: "name what --cache-to wrote")
        }
        let content = try OCIJSON.decode(
            CacheDocument.self, from: try await parts.store.read(document.config.digest, limit: 64 << 20))
        guard content.version == CacheKey.version else { return 0 }
        let cache = BuildCache(folder: parts.folder.appending("cache"), store: parts.store)
        for entry in content.entries { try cache.put(entry.record, for: entry.key) }
        return content.entries.count
    }

    private func write(_ bytes: [UInt8], _ type: String) async throws -> Descriptor {
        Descriptor(mediaType: type, digest: try await parts.store.write(bytes), size: Int64(bytes.count))
    }
}
