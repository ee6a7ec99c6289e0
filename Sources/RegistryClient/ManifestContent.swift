import OCIModel

/// A manifest or index with the exact bytes its digest is of.
struct ManifestContent: Sendable {
    enum Kind: Sendable {
        case image(Manifest)
        case index(Index)
    }

    let bytes: [UInt8]
    let digest: Digest
    let mediaType: String
    let kind: Kind

    private struct Shape: Decodable {
        struct Present: Decodable { init(from decoder: any Decoder) {} }
        let mediaType: String?
        let manifests: Present?
    }

    /// - Parameters:
    ///   - mediaType: what the carrier said it is; nil or a generic type: the document tells.
    ///   - algorithm: that of the digest it was asked by.
    init(_ bytes: [UInt8], mediaType given: String?, algorithm: DigestAlgorithm = .sha256) throws {
        let shape = try OCIJSON.decode(Shape.self, from: bytes)
        let sniffed = shape.manifests == nil ? MediaType.ociManifest : MediaType.ociIndex
        let specific = given.flatMap { MediaType.isIndex($0) || MediaType.isManifest($0) ? $0 : nil }
        mediaType = shape.mediaType ?? specific ?? sniffed
        self.bytes = bytes
        digest = Digest.of(bytes, by: algorithm)
        if MediaType.isIndex(mediaType) {
            kind = .index(try OCIJSON.decode(Index.self, from: bytes))
        } else if MediaType.isManifest(mediaType) {
            kind = .image(try OCIJSON.decode(Manifest.self, from: bytes))
        } else {
            throw RegistryError(
                .unsupported, "'\(mediaType.prefix(100))' is not an image manifest",
                hint: "Slipway reads OCI and Docker schema 2 images")
        }
    }

    /// What this one says something about.
    var subject: Descriptor? {
        switch kind {
        case .image(let manifest): manifest.subject
        case .index(let index): index.subject
        }
    }

    /// As it stands in its subject's list (distribution-spec, "Listing Referrers").
    var asReferrer: Descriptor {
        switch kind {
        case .image(let manifest):
            Descriptor(
                mediaType: mediaType, digest: digest, size: Int64(bytes.count), annotations: manifest.annotations,
                artifactType: manifest.artifactType ?? manifest.config.mediaType)
        case .index(let index):
            Descriptor(
                mediaType: mediaType, digest: digest, size: Int64(bytes.count), annotations: index.annotations,
                artifactType: index.artifactType)
        }
    }

    /// Layers that may not be distributed (image-spec, layer.md): never pushed.
    static func isForeign(_ layer: Descriptor) -> Bool {
        layer.mediaType.contains(".nondistributable.") || layer.mediaType.contains(".foreign.")
    }

    /// Config and layers that live in the registry, each once.
    static func blobs(of manifest: Manifest) -> [Descriptor] {
        var seen: Set<Digest> = []
        return ([manifest.config] + manifest.layers).filter { descriptor in
            !isForeign(descriptor) && seen.insert(descriptor.digest).inserted
        }
    }
}

/// Runs `body` for every element, `width` at a time; the first failure cancels the others.
func forEachConcurrently<Element: Sendable>(
    _ elements: [Element], width: Int, _ body: @escaping @Sendable (Element) async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        var rest = elements[...]
        for element in rest.prefix(width) { group.addTask { try await body(element) } }
        rest = rest.dropFirst(width)
        while try await group.next() != nil {
            if let element = rest.popFirst() { group.addTask { try await body(element) } }
        }
    }
}
