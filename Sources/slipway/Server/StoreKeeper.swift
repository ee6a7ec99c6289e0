import ImageStore
import Logging
import ServiceLifecycle
import StateStore
import SystemPackage
import WebServer

/// Collects the image store's garbage now and then, and when asked. Of several servers one does so by itself.
struct StoreKeeper: Service {
    let images: ImageStore
    let store: any StateStore
    let snapshots: Snapshots
    let containers: FilePath
    let policy: CollectionPolicy
    /// Nil: only when asked.
    let every: Duration?
    let history: CollectionHistory
    let logger: Logger

    func run() async throws {
        guard let every else {
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            // Not at the start: what a restart interrupted comes first.
            while (try? await Task.sleep(for: every)) != nil {
                do {
                    _ = try await collect(dryRun: false)
                } catch is CancellationError {
                    return
                } catch {
                    logger.error("the image store was not cleared: \(error)")
                }
            }
        }
    }

    /// One collection. Images that runs and stages need are pinned as they are now.
    func collect(dryRun: Bool) async throws -> CollectionReport {
        do {
            var policy = policy
            policy.dryRun = dryRun
            policy.pins = try await store.digestsInUse()
            let report = try await images.collect(policy, snapshots: snapshots, containers: containers)
            history.ended(report)
            logger.info(
                "image store: \(report.blobsRemoved) blobs, \(report.bytesFreed) bytes removed, \(report.blobsKept) blobs kept",
                metadata: ["dryRun": "\(dryRun)", "seconds": "\(report.seconds)"])
            return report
        } catch {
            history.failed()
            throw error
        }
    }
}
