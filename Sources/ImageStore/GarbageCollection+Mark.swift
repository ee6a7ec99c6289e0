import BlockingQueue
import OCIModel

extension GarbageCollection {
    /// Follows every manifest of every repository, and every pin, to all they refer to.
    mutating func mark() throws {
        for repository in try store.repositoryFolders() {
            let manifests = try (Files.names(in: store.folder(repository, "_manifests")) ?? []).compactMap { Digest(hex: $0) }
            // What was pushed again since retention dropped it is here once more; in a dry run nothing went.
            let gone = policy.dryRun ? dropped[repository] ?? [] : []
            liveIn[repository] = try reach(manifests.filter { !gone.contains($0) })
        }
        _ = try reach(Array(policy.pins))
    }

    /// Everything that can be reached from some manifests; adds it to `live`.
    private mutating func reach(_ roots: [Digest]) throws -> Set<Digest> {
        var found: Set<Digest> = []
        var open = roots
        while let digest = open.popLast() {
            if cancellation.isCancelled { throw CancellationError() }
            guard found.insert(digest).inserted, let links = try links(of: digest) else { continue }
            found.formUnion(links.blobs)
            open += links.children
            if let config = links.config { markLayers(of: config) }
        }
        live.formUnion(found)
        return found
    }

    /// Nil for what is not here, or no document at all.
    private mutating func links(of digest: Digest) throws -> ManifestLinks? {
        do {
            return ManifestLinks(try store.readNow(digest))
        } catch let error as ImageStoreError {
            switch error.code {
            case .notFound, .sizeMismatch: return nil
            case .corrupted:
                report.damagedManifests += 1
                return nil
            default: throw error
            }
        }
    }

    private mutating func markLayers(of config: Digest) {
        struct Layers: Decodable {
            struct RootFS: Decodable { let diff_ids: [Digest]? }
            let rootfs: RootFS?
        }
        guard let bytes = try? store.readNow(config), let document = try? OCIJSON.decode(Layers.self, from: bytes) else { return }
        liveLayers.formUnion(document.rootfs?.diff_ids ?? [])
    }
}
