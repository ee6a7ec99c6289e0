import Glibc
import ImageStore
import OCIModel
import SystemPackage
import TarArchive

/// What was built before, beside the blobs it names:
///
///     layer-cache/layers/<key>          one layer: diffID, digest, size, media type
///     layer-cache/images/<key>          one image: manifest, config and layers
///     layer-cache/sources/<path hash>   what is known about the files of a source (see `SourceIndex`)
///     layer-cache/seen/<key>            a layer with these settings was built, whatever its content
///     layer-cache/secret                32 random bytes: mixed into what must mean nothing outside this store
///     indexes/<diffID>                  folders and links of a layer (see `LayerIndex`)
///
/// Everything here may be removed at any time. An entry counts only while every blob it names exists. Blocking.
struct LayerCache: Sendable {
    /// Goes up when equal requests begin to make other layers or documents.
    static let version: Int64 = 2

    struct Layer: Sendable, Hashable {
        let descriptor: Descriptor
        let diffID: Digest
    }

    private let store: ImageStore
    private var folder: FilePath { store.root.appending("layer-cache") }

    init(store: ImageStore) { self.store = store }

    // MARK: Layers

    func layer(_ key: Digest) -> Layer? {
        guard let words = words(of: file("layers", key)), words.count == 4,
            let diffID = try? Digest(parsing: words[0]), let descriptor = descriptor(words[1...])
        else { return nil }
        return Layer(descriptor: descriptor, diffID: diffID)
    }

    func keep(_ layer: Layer, as key: Digest, settings: Digest) {
        write([layer.diffID.description] + words(layer.descriptor), to: file("layers", key))
        write([], to: file("seen", settings))
    }

    /// Whether some layer was built with these settings: only then can hashing a source first pay.
    func hasSeen(_ settings: Digest) -> Bool {
        file("seen", settings).withPlatformString { access($0, F_OK) == 0 }
    }

    // MARK: Images

    func image(_ key: Digest) -> BuiltImage? {
        guard let words = words(of: file("images", key)), words.count >= 8, (words.count - 8) % 3 == 0,
            var manifest = descriptor(words[0..<3]), let config = descriptor(words[3..<6])
        else { return nil }
        let platform = words[6].split(separator: "/").map(String.init)
        guard platform.count >= 2 else { return nil }
        manifest.platform = Platform(
            architecture: platform[1], os: platform[0], variant: platform.count > 2 ? platform[2] : nil)
        var layers: [Descriptor] = []
        for start in stride(from: 8, to: words.count, by: 3) {
            // A base is not always here: it may lie in the registry only.
            guard let layer = descriptor(words[start..<(start + 3)], mustExist: layers.count >= Int(words[7]) ?? 0) else { return nil }
            layers.append(layer)
        }
        return BuiltImage(manifest: manifest, config: config.digest, layers: layers, blobsWritten: 0)
    }

    func keep(_ image: BuiltImage, config: Descriptor, baseLayers: Int, as key: Digest) {
        let platform = image.manifest.platform?.description ?? Platform.current.description
        write(
            words(image.manifest) + words(config) + [platform, "\(baseLayers)"] + image.layers.flatMap(words),
            to: file("images", key))
    }

    // MARK: Sources

    /// The source's index is found by its real path.
    func sourceIndex(of source: FilePath) -> FilePath { file("sources", Digest.sha256(Array(source.string.utf8))) }

    // MARK: Folders and links of layers

    /// Of a layer in the store; read from the layer itself when it is not known yet.
    func index(of layer: Descriptor, _ diffID: Digest) throws -> LayerIndex {
        let file = store.root.appending("indexes").appending(diffID.hex)
        if let index = LayerIndex(file: file) { return index }
        guard try store.size(of: layer.digest) != nil else {
            throw ImageStoreError(
                code: .notFound, message: "layer \(layer.digest) is not in the store", hint: "pull the base image first")
        }
        let index = try LayerIndex(layer: store.path(of: layer.digest), expecting: diffID, limits: store.limits)
        index.write(to: file)
        return index
    }

    func keep(_ index: LayerIndex, of diffID: Digest) {
        index.write(to: store.root.appending("indexes").appending(diffID.hex))
    }

    // MARK: Secrets

    /// 32 random bytes of this store, made when first needed.
    private func secret() throws -> [UInt8] {
        let file = folder.appending("secret")
        if let key = CacheFiles.read(file, limit: 32), key.count == 32 { return key }
        var random = SystemRandomNumberGenerator()
        CacheFiles.write((0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }, to: file)
        // Another process may have been faster: what lies there now counts.
        guard let key = CacheFiles.read(file, limit: 32), key.count == 32 else {
            throw ImageStoreError(
                code: .fileSystem, message: "cannot write \(file)", hint: "check the data directory, or free some disk space")
        }
        return key
    }

    func hashKey() throws -> FileHasher.Key { try FileHasher.Key(secret()) }

    /// Stands for a list of secrets in a key: a layer found free of some secrets is not known to be free of others. Keyed with
    /// random bytes of this store, so that the cache tells nothing about them.
    func fingerprint(of secrets: [String]) throws -> String {
        var list = CacheKey("secrets")
        for secret in Set(secrets).sorted() { list.add(secret) }
        // Both parts have a fixed length.
        return Digest.sha256(try secret() + Array(list.finalize().hex.utf8)).hex
    }

    // MARK: Files of lines, the last one a digest of the others

    private func file(_ kind: String, _ key: Digest) -> FilePath { folder.appending(kind).appending(key.hex) }

    private func write(_ words: [String], to file: FilePath) {
        let text = words.map { $0 + "\n" }.joined()
        CacheFiles.write(Array((text + Digest.sha256(Array(text.utf8)).hex).utf8), to: file)
    }

    private func words(of file: FilePath) -> [String]? {
        guard let bytes = CacheFiles.read(file, limit: 1 << 20), bytes.count >= 64 else { return nil }
        let text = Array(bytes.dropLast(64))
        guard Digest.sha256(text).hex == String(decoding: bytes.suffix(64), as: UTF8.self) else { return nil }
        return String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    private func words(_ descriptor: Descriptor) -> [String] {
        [descriptor.mediaType, descriptor.digest.description, "\(descriptor.size)"]
    }

    private func descriptor(_ words: ArraySlice<String>, mustExist: Bool = true) -> Descriptor? {
        let words = Array(words)
        guard words.count == 3, let digest = try? Digest(parsing: words[1]), let size = Int64(words[2]) else { return nil }
        // A hit refers to the blob from now on: no garbage collection may take it.
        if mustExist { guard (try? store.renewed(digest)) == size else { return nil } }
        return Descriptor(mediaType: words[0], digest: digest, size: size)
    }
}
