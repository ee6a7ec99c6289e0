import BlockingQueue
public import ImageStore
public import OCIModel
import SystemPackage
import TarArchive

/// Moves an image onto another base without building it again: its own layers stay as they are, byte by byte. Refused where
/// a build over the new base could have come out otherwise.
public struct ImageRebase: Sendable {
    static let baseDigest = "org.opencontainers.image.base.digest"
    static let baseName = "org.opencontainers.image.base.name"

    private let store: ImageStore
    private let queue = BlockingQueue(label: "image-rebase", width: 2)

    public init(store: ImageStore) { self.store = store }

    /// The base an image says it was built on; of an index, what its first image says.
    public func recordedBase(of image: Digest) async throws -> (digest: Digest?, name: String?) {
        let bytes = try await store.read(image)
        if let index = try? OCIJSON.decode(Index.self, from: bytes), let first = index.manifests.first(where: Self.isImage) {
            return try await recordedBase(of: first.digest)
        }
        let annotations = try OCIJSON.decode(Manifest.self, from: bytes).annotations ?? [:]
        return (try annotations[Self.baseDigest].map { try Digest(parsing: $0) }, annotations[Self.baseName])
    }

    /// Writes the image over `newBase` into the store; no repository names it yet. The same arguments make the same digest.
    ///
    /// Of an index every image is moved, onto the new base for its platform; entries that are no images (attestations speak about
    /// the old digests) are left out.
    ///
    /// - Parameters:
    ///   - newBase: manifest or index in the store.
    ///   - name: what the new base is called, for the annotation.
    ///   - oldBase: manifest or index in the store; nil takes what the image's annotations say.
    /// - Throws: `ImageBuilderError` with `.baseConflict`, naming the paths; `ImageStoreError`, `TarError`.
    public func rebase(_ image: Digest, onto newBase: Digest, name: String?, oldBase: Digest? = nil) async throws -> Descriptor {
        let bytes = try await store.read(image)
        guard var index = try? OCIJSON.decode(Index.self, from: bytes) else {
            return try await move(image, newBase, name, oldBase)
        }
        var moved: [Descriptor] = []
        for entry in index.manifests where Self.isImage(entry) {
            var descriptor = try await move(entry.digest, newBase, name, oldBase)
            descriptor.annotations = entry.annotations
            descriptor.platform = entry.platform ?? descriptor.platform
            moved.append(descriptor)
        }
        guard !moved.isEmpty else {
            throw ImageStoreError(code: .unsupported, message: "\(image) lists no images", hint: "name a container image")
        }
        index.manifests = moved
        index.mediaType = MediaType.ociIndex
        let document = try OCIJSON.encode(index)
        return Descriptor(mediaType: MediaType.ociIndex, digest: try await store.write(document), size: Int64(document.count))
    }

    private static func isImage(_ entry: Descriptor) -> Bool {
        MediaType.isManifest(entry.mediaType) && entry.platform?.os != "unknown" && entry.artifactType == nil
    }

    // MARK: One image

    private func move(_ digest: Digest, _ newBase: Digest, _ name: String?, _ oldBase: Digest?) async throws -> Descriptor {
        let image = try await store.load(digest)
        let config = image.config
        let platform = Platform(architecture: config.architecture, os: config.os, variant: config.variant)
        let before = try await loadOldBase(of: image, given: oldBase, platform)
        let after = try await store.load(newBase, platform: platform)
        guard after.config.architecture == config.architecture, after.config.os == config.os else {
            throw ImageBuilderError(
                code: .platformMismatch,
                message: "the new base is for \(after.config.os)/\(after.config.architecture), the image for \(platform)",
                hint: "use a base for this platform")
        }
        let count = before.config.rootfs.diffIDs.count
        guard config.rootfs.diffIDs.starts(with: before.config.rootfs.diffIDs) else {
            throw ImageBuilderError(
                code: .baseConflict, message: "the image \(digest) does not begin with the layers of \(before.digest)",
                hint: "name the base it was built on: --old-base NAME")
        }
        if before.config.rootfs.diffIDs != after.config.rootfs.diffIDs { try await check(image, before, after) }
        let merged = try RebaseConfig(
            image: try await document(image), old: try await document(before), new: try await document(after), oldLayers: count
        ).merged()
        let written = try OCIJSON.encode(merged)
        var annotations = image.manifest.annotations ?? [:]
        annotations[Self.baseDigest] = after.digest.description
        annotations[Self.baseName] = name
        let manifest = Manifest(
            config: Descriptor(mediaType: MediaType.ociConfig, digest: try await store.write(written), size: Int64(written.count)),
            layers: try (after.manifest.layers + image.manifest.layers.dropFirst(count)).map(ConfigMerge.ociLayer),
            annotations: annotations)
        let bytes = try OCIJSON.encode(manifest)
        return Descriptor(
            mediaType: MediaType.ociManifest, digest: try await store.write(bytes), size: Int64(bytes.count), platform: platform)
    }

    private func document(_ image: LoadedImage) async throws -> JSONValue {
        try OCIJSON.decode(JSONValue.self, from: try await store.read(image.manifest.config.digest))
    }

    private func loadOldBase(of image: LoadedImage, given: Digest?, _ platform: Platform) async throws -> LoadedImage {
        if let given { return try await store.load(given, platform: platform) }
        let annotations = image.manifest.annotations ?? [:]
        var digest = try annotations[Self.baseDigest].map { try Digest(parsing: $0) }
        if digest == nil, let name = annotations[Self.baseName] { digest = try await store.resolve(ImageReference(parsing: name))?.digest }
        guard let digest else {
            throw ImageBuilderError(
                code: .invalidRequest, message: "the image \(image.digest) does not say what it was built on",
                hint: "name its base: --old-base NAME")
        }
        guard try store.size(of: digest) != nil else {
            throw ImageStoreError(
                code: .notFound, message: "the base of the image, \(digest), is not in the store",
                hint: "pull it: slipway image pull \(annotations[Self.baseName] ?? "HOST/NAME")@\(digest)")
        }
        return try await store.load(digest, platform: platform)
    }

    // MARK: Safety

    private func check(_ image: LoadedImage, _ before: LoadedImage, _ after: LoadedImage) async throws {
        // The image has the old base's layers itself, perhaps packed otherwise.
        let count = before.config.rootfs.diffIDs.count
        async let old = tree(Array(image.manifest.layers.prefix(count)), before.config.rootfs.diffIDs)
        async let new = tree(after.manifest.layers, after.config.rootfs.diffIDs)
        let first = max(count, after.config.rootfs.diffIDs.count)
        let trees = try await (old: old, new: new)
        let conflicts = try await queue.run { cancellation in
            var check = RebaseCheck(old: trees.old, new: trees.new, firstLayer: first)
            let own = zip(image.manifest.layers, image.config.rootfs.diffIDs).dropFirst(count)
            for (number, (layer, diffID)) in own.enumerated() {
                try read(layer, diffID, first + number, cancellation) { check.add($0, layer: first + number) }
            }
            return check.conflicts
        }
        guard let worst = conflicts.first else { return }
        let more = conflicts.dropFirst().prefix(9).map { "\n  \($0)" }.joined()
        let rest = conflicts.count > 10 ? "\n  and others" : ""
        throw ImageBuilderError(
            code: .baseConflict, message: "the image cannot be moved onto the new base: \(worst)\(more)\(rest)",
            hint: "build the image again over the new base")
    }

    private func tree(_ layers: [Descriptor], _ diffIDs: [Digest]) async throws -> LayerTree {
        try await queue.run { cancellation in
            var tree = LayerTree()
            for (number, (layer, diffID)) in zip(layers, diffIDs).enumerated() {
                try read(layer, diffID, number, cancellation) { change in
                    guard tree.apply(change, layer: number) else {
                        throw ImageStoreError(
                            code: .invalidImage,
                            message:
                                "layer \(layer.digest) holds '\(change.name.components.map(\.string).joined(separator: "/"))', which has no place",
                            hint: "the base image is malformed; build it again")
                    }
                }
            }
            return tree
        }
    }

    private func read(
        _ layer: Descriptor, _ diffID: Digest, _ number: Int, _ cancellation: Cancellation, _ body: (LayerChange) throws -> Void
    ) throws {
        guard try store.size(of: layer.digest) != nil else {
            throw ImageStoreError(
                code: .notFound, message: "layer \(layer.digest) is not in the store", hint: "pull the image and both bases first")
        }
        try LayerChange.read(
            store.path(of: layer.digest), expecting: diffID, layer: number, limits: store.limits,
            isCancelled: { cancellation.isCancelled }, body)
    }
}
