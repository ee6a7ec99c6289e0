import BlockingQueue
import ImageStore
import OCIModel
import SystemPackage
import TarArchive

/// A layer of the image being built.
struct BuiltLayer: Codable, Sendable, Hashable {
    var descriptor: Descriptor
    var diffID: Digest
}

/// Makes layers of what an instruction wrote.
struct LayerWriter: Sendable {
    let store: ImageStore
    let threads: Int
    let queue: BlockingQueue
    /// Seconds since 1970; later times are cut to it.
    let timestamp: Int64
    let compression: Compression

    /// The writable folder of an overlay as a layer in the store; nil when nothing was written.
    func layer(of changes: FilePath) async throws -> BuiltLayer? {
        let file = store.temporaryPath()
        let (threads, timestamp, compression) = (threads, timestamp, compression)
        let summary: LayerSummary? = try await queue.run { cancellation in
            let entries = try OverlayChanges.entries(of: changes, latest: timestamp) { cancellation.isCancelled }
            guard !entries.isEmpty else { return nil }
            return try LayerCompressor.compress(to: file, compression: compression, threads: threads) { sink in
                try TarWriter.write(entries, timestamp: timestamp, to: sink) { cancellation.isCancelled }
            }
        }
        guard let summary else { return nil }
        try await store.ingest(file: file, digest: summary.digest, size: summary.size)
        return BuiltLayer(descriptor: summary.descriptor, diffID: summary.diffID)
    }
}
