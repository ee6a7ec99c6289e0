import HTTPTypes
import OCIModel

/// A manifest or index as pushed: its media type and what it refers to.
struct ManifestDocument: Sendable {
    let mediaType: String
    /// Configuration and layers of an image.
    var blobs: [Descriptor] = []
    /// Entries of an index.
    var children: [Descriptor] = []
    let subject: Descriptor?
    let artifactType: String?
    let annotations: [String: String]?

    /// Only the fields that tell the kinds apart.
    private struct Shape: Decodable {
        struct Present: Decodable { init(from decoder: any Decoder) {} }
        let schemaVersion: Int
        let mediaType: String?
        let manifests: Present?
        let layers: Present?
    }

    /// - Parameter contentType: the request's header; the document's own `mediaType` must not contradict it.
    init(_ bytes: [UInt8], contentType: String?) throws {
        let shape = try OCIJSON.decode(Shape.self, from: bytes)
        guard shape.schemaVersion == 2 else {
            throw RegistryFailure(.badRequest, .manifestInvalid, "schemaVersion must be 2")
        }
        let header = contentType.map { $0.prefix { $0 != ";" }.filter { $0 != " " } }.flatMap { type in
            type.isEmpty || type == "application/json" || type == "application/octet-stream" ? nil : type
        }
        if let header, let own = shape.mediaType, header != own {
            throw RegistryFailure(
                .badRequest, .manifestInvalid, "Content-Type is \(header), but the document says mediaType \(own)")
        }
        let sniffed = shape.manifests != nil ? MediaType.ociIndex : MediaType.ociManifest
        mediaType = header ?? shape.mediaType ?? sniffed
        guard (shape.manifests != nil) != (shape.layers != nil) else {
            throw RegistryFailure(.badRequest, .manifestInvalid, "a manifest has either layers or manifests")
        }
        if MediaType.isIndex(mediaType) {
            let index = try OCIJSON.decode(Index.self, from: bytes)
            children = index.manifests
            (subject, artifactType, annotations) = (index.subject, index.artifactType, index.annotations)
        } else if MediaType.isManifest(mediaType) {
            let manifest = try OCIJSON.decode(Manifest.self, from: bytes)
            blobs = [manifest.config] + manifest.layers
            (subject, annotations) = (manifest.subject, manifest.annotations)
            artifactType = manifest.artifactType ?? manifest.config.mediaType
        } else {
            throw RegistryFailure(.badRequest, .manifestInvalid, "'\(mediaType.prefix(100))' is not a manifest media type")
        }
    }
}
