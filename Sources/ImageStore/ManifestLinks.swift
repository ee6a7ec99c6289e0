import OCIModel

/// What a manifest or index refers to. Reads leniently: of a document that is neither, nothing.
struct ManifestLinks: Sendable {
    /// Configuration and layers.
    var blobs: [Digest] = []
    /// Entries of an index.
    var children: [Digest] = []
    var subject: Digest?
    /// The configuration, to find the uncompressed layers.
    var config: Digest?

    private struct Document: Decodable {
        struct Link: Decodable { let digest: Digest }
        let config: Link?
        let layers: [Link]?
        let manifests: [Link]?
        let subject: Link?
    }

    init(_ bytes: [UInt8]) {
        guard let document = try? OCIJSON.decode(Document.self, from: bytes) else { return }
        config = document.config?.digest
        var seen: Set<Digest> = []
        blobs = ([document.config?.digest].compactMap { $0 } + (document.layers ?? []).map(\.digest)).filter { seen.insert($0).inserted }
        children = (document.manifests ?? []).map(\.digest).filter { seen.insert($0).inserted }
        subject = document.subject?.digest
    }
}
