public import OCIModel

/// An image's documents, read and checked.
public struct LoadedImage: Sendable {
    /// The manifest's own digest, also when an index was asked for.
    public let digest: Digest
    public let manifest: Manifest
    public let config: ImageConfig
}

extension ImageStore {
    /// Reads manifest and config of an image in the store; of an index, the entry for `platform` (this machine's
    /// when nil). Throws `.platformNotFound`, `.unsupported` or `.invalidImage`.
    public func load(_ image: Digest, platform: Platform? = nil) async throws -> LoadedImage {
        let wanted = platform ?? Platform.current
        var digest = image
        for _ in 0..<4 {
            let bytes = try await read(digest)
            let kind = try OCIJSON.decode(DocumentKind.self, from: bytes)
            if kind.manifests != nil {
                let index = try OCIJSON.decode(Index.self, from: bytes)
                digest = try Self.choose(from: index, wanted, digest)
                continue
            }
            guard kind.config != nil, kind.layers != nil else {
                throw ImageStoreError(code: .unsupported, message: "\(digest) is not an image manifest", hint: "name an image")
            }
            let manifest = try OCIJSON.decode(Manifest.self, from: bytes)
            guard manifest.config.mediaType == MediaType.ociConfig || manifest.config.mediaType == MediaType.dockerConfig else {
                throw ImageStoreError(
                    code: .unsupported, message: "\(digest) is an artifact of type \(manifest.config.mediaType), not an image",
                    hint: "name a container image")
            }
            let config = try OCIJSON.decode(ImageConfig.self, from: try await read(manifest.config.digest))
            guard config.rootfs.diffIDs.count == manifest.layers.count else {
                throw ImageStoreError(
                    code: .invalidImage,
                    message: "\(digest) has \(manifest.layers.count) layers but \(config.rootfs.diffIDs.count) diffIDs",
                    hint: "the image is malformed; build it again")
            }
            return LoadedImage(digest: digest, manifest: manifest, config: config)
        }
        throw ImageStoreError(code: .invalidImage, message: "indexes of \(image) are nested too deeply", hint: "")
    }

    private static func choose(from index: Index, _ wanted: Platform, _ digest: Digest) throws -> Digest {
        let images = index.manifests.filter { $0.platform?.os != "unknown" }
        let fitting = images.filter { $0.platform?.os == wanted.os && $0.platform?.architecture == wanted.architecture }
        if let exact = fitting.first(where: { $0.platform?.variant == wanted.variant }) ?? fitting.first { return exact.digest }
        // Layouts written by hand often name no platform at all.
        if images.count == 1, let only = images.first, only.platform == nil { return only.digest }
        let offered = images.compactMap { $0.platform?.description }.joined(separator: ", ")
        throw ImageStoreError(
            code: .platformNotFound, message: "\(digest) has no image for \(wanted); it offers: \(offered)",
            hint: "use an image for this machine")
    }

    /// Tells manifest and index apart by what they hold.
    private struct DocumentKind: Decodable {
        struct Anything: Decodable {}
        let config: Anything?
        let layers: [Anything]?
        let manifests: [Anything]?
    }
}
