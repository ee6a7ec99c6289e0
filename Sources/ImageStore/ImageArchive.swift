import BlockingQueue
public import OCIModel
public import SystemPackage
import TarArchive

/// Images as files: OCI layouts, `docker save` archives and plain root file systems.
public enum ImageArchive {
    /// How an image leaves the store.
    public enum Format: String, Sendable, CaseIterable {
        /// A folder (image-spec, image-layout.md).
        case ociLayout = "oci"
        /// The same in one tar file.
        case ociArchive = "oci-archive"
        /// What `docker load` reads.
        case dockerArchive = "docker-archive"
    }

    static let queue = BlockingQueue(label: "image-archive", width: 2)

    /// Brings an image into the store, records it in `repository` and tags it. Found out by looking inside: an OCI
    /// layout (folder or tar), a `docker save` tar, a root file system (folder or tar, plain, gzip or zstd).
    /// Returns the digest of its manifest or index.
    ///
    /// - Parameters:
    ///   - reference: of several images in a layout or archive, the one with this name.
    ///   - timestamp: seconds since 1970 for an image made of a root file system.
    @discardableResult
    public static func importArchive(
        _ path: FilePath, into store: ImageStore, repository: RepositoryName, tag: Tag, reference: String? = nil,
        platform: Platform = .current, timestamp: Int64 = 0
    ) async throws -> Digest {
        let imported = try await queue.run { cancellation in
            let source = try ArchiveSource(path, store: store)
            switch source.kind {
            case .ociLayout: return try LayoutImport(source: source, store: store).run(reference: reference)
            case .dockerArchive: return try DockerImport(source: source, store: store).run(reference: reference)
            case .rootFolder, .rootTar:
                return try RootImport(path: path, store: store, platform: platform, timestamp: timestamp, cancellation: cancellation)
                    .run(folder: source.kind == .rootFolder)
            }
        }
        for manifest in imported.all {
            try await store.record(manifest: manifest.digest, mediaType: manifest.mediaType, in: repository)
        }
        try await store.tag(tag, as: imported.top.digest, in: repository)
        return imported.top.digest
    }

    /// What an import brought: the named manifest or index, and every manifest below it.
    struct Imported: Sendable {
        let top: Descriptor
        let all: [Descriptor]
    }
}
