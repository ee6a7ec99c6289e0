public import ImageStore
import Synchronization

/// What the garbage collections since the start came to, for the metrics.
public final class CollectionHistory: Sendable {
    private struct State {
        var runs = 0
        var failures = 0
        var blobs = 0
        var bytes: Int64 = 0
        var last: CollectionReport?
    }

    private let state = Mutex(State())

    public init() {}

    public func ended(_ report: CollectionReport) {
        guard !report.dryRun else { return }
        state.withLock { state in
            state.runs += 1
            state.blobs += report.blobsRemoved
            state.bytes += report.bytesFreed
            state.last = report
        }
    }

    public func failed() { state.withLock { $0.failures += 1 } }

    /// In Prometheus' text exposition format.
    var text: String {
        let state = state.withLock { $0 }
        return """
            # HELP slipway_gc_runs_total Garbage collections that ended.
            # TYPE slipway_gc_runs_total counter
            slipway_gc_runs_total \(state.runs)
            # HELP slipway_gc_failures_total Garbage collections that failed.
            # TYPE slipway_gc_failures_total counter
            slipway_gc_failures_total \(state.failures)
            # HELP slipway_gc_removed_blobs_total Blobs removed.
            # TYPE slipway_gc_removed_blobs_total counter
            slipway_gc_removed_blobs_total \(state.blobs)
            # HELP slipway_gc_freed_bytes_total Bytes of the blobs removed.
            # TYPE slipway_gc_freed_bytes_total counter
            slipway_gc_freed_bytes_total \(state.bytes)
            # HELP slipway_gc_last_seconds How long the last one took.
            # TYPE slipway_gc_last_seconds gauge
            slipway_gc_last_seconds \(state.last?.seconds ?? 0)

            """
    }
}
