import HTTPTypes
import ImageStore
import OCIModel
import Synchronization

/// Lets uploads in as far as the limits allow.
final class UploadGate: Sendable {
    let limits: RegistryLimits
    private let transferring = Mutex(0)
    /// The store's size and when it was taken: looking at every blob for every upload would be slow.
    private let measured = Mutex<(bytes: Int64, at: ContinuousClock.Instant)?>(nil)

    init(_ limits: RegistryLimits) { self.limits = limits }

    /// Runs `body` as one of the transfers that may go on together.
    func transfer<T>(_ body: () async throws -> T) async throws -> T {
        let admitted = transferring.withLock { count in
            guard count < limits.concurrentUploads else { return false }
            count += 1
            return true
        }
        guard admitted else {
            throw RegistryFailure(
                .tooManyRequests, .tooManyRequests, "\(limits.concurrentUploads) uploads are under way; try again later",
                headers: [.retryAfter: "1"])
        }
        defer { transferring.withLock { $0 -= 1 } }
        return try await body()
    }

    func checkBlob(_ bytes: Int64) throws {
        guard let limit = limits.blobBytes, bytes > limit else { return }
        throw RegistryFailure(.contentTooLarge, .sizeInvalid, "a blob may have \(limit) bytes at most (registry.limits.blob)")
    }

    /// Refuses what would not fit into the repository's or the store's quota any more.
    func checkQuota(adding bytes: Int64, to name: RepositoryName, in store: ImageStore) async throws {
        if let limit = limits.repositoryBytes {
            let used = try await store.usage(of: name)
            guard used + bytes <= limit else {
                throw full("\(name) holds \(used) of the \(limit) bytes it may (registry.quota.repository)")
            }
        }
        if let limit = limits.totalBytes {
            let used = try await self.used(store)
            guard used + bytes <= limit else {
                throw full("the registry holds \(used) of the \(limit) bytes it may (registry.quota.total)")
            }
        }
    }

    /// Counts what was stored since the store was last looked at.
    func stored(_ bytes: Int64) { measured.withLock { $0?.bytes += bytes } }

    private func used(_ store: ImageStore) async throws -> Int64 {
        let recent = measured.withLock { $0.flatMap { ContinuousClock.now - $0.at < .seconds(5) ? $0.bytes : nil } }
        if let recent { return recent }
        let bytes = try await store.totalBytes()
        measured.withLock { $0 = (bytes, ContinuousClock.now) }
        return bytes
    }

    private func full(_ message: String) -> RegistryFailure {
        RegistryFailure(.forbidden, .denied, "\(message); delete images, or raise the quota")
    }
}
