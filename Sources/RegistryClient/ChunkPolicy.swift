import Synchronization

/// How large the pieces of an upload are; learns when a registry refuses them.
final class ChunkPolicy: Sendable {
    private let size: Int64
    private let refused = Mutex(false)

    /// - Parameter size: in bytes; 0 sends everything in one piece.
    init(size: Int64) { self.size = size }

    /// The registry does not do uploads in chunks (of this size).
    func refuse() { refused.withLock { $0 = true } }

    var isRefused: Bool { refused.withLock { $0 } }

    /// How many bytes to send next; all of the rest means: in the request that ends the upload.
    func next(of rest: Int64, atLeast minimum: Int64) -> Int64 {
        guard size > 0, !isRefused else { return rest }
        let chunk = max(size, minimum)
        return rest > chunk ? chunk : rest
    }

    /// Whether a blob of this size is worth a note on disk.
    func isLarge(_ bytes: Int64) -> Bool { bytes > size || bytes > RegistrySettings.defaultChunkSize }
}
