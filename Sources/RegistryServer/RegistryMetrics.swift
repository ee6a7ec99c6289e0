import Hummingbird
import Synchronization

/// Counts the registry's requests, for Prometheus (text exposition format 0.0.4).
public final class RegistryMetrics: Sendable {
    private struct Series: Hashable, Comparable {
        let operation: String
        let status: String

        static func < (left: Series, right: Series) -> Bool {
            (left.operation, left.status) < (right.operation, right.status)
        }
    }

    private struct Times {
        var counts = [Int](repeating: 0, count: RegistryMetrics.bounds.count + 1)
        var sum = 0.0
    }

    private struct State {
        var requests: [Series: Int] = [:]
        var times: [String: Times] = [:]
        var sent: Int64 = 0
        var received: Int64 = 0
    }

    /// Upper bounds of the latency buckets, in seconds.
    private static let bounds = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60]
    private let state = Mutex(State())

    public init() {}

    func observe(_ operation: String, status: Int, after time: Duration, sent: Int64) {
        let seconds = time / .seconds(1)
        state.withLock { state in
            state.requests[Series(operation: operation, status: String(status)), default: 0] += 1
            let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
            state.times[operation, default: Times()].counts[bucket] += 1
            state.times[operation, default: Times()].sum += seconds
            state.sent += sent
        }
    }

    func received(_ bytes: Int64) { state.withLock { $0.received += bytes } }

    /// All series as text.
    public var text: String {
        let state = state.withLock { $0 }
        var lines = [
            "# HELP slipway_registry_requests_total Requests by operation and status.",
            "# TYPE slipway_registry_requests_total counter",
        ]
        for (series, count) in state.requests.sorted(by: { $0.key < $1.key }) {
            lines.append("slipway_registry_requests_total{operation=\"\(series.operation)\",status=\"\(series.status)\"} \(count)")
        }
        lines += [
            "# HELP slipway_registry_request_seconds Time until the answer begins.",
            "# TYPE slipway_registry_request_seconds histogram",
        ]
        for (operation, times) in state.times.sorted(by: { $0.key < $1.key }) {
            var total = 0
            for (index, count) in times.counts.enumerated() {
                total += count
                let bound = index < Self.bounds.count ? "\(Self.bounds[index])" : "+Inf"
                lines.append("slipway_registry_request_seconds_bucket{operation=\"\(operation)\",le=\"\(bound)\"} \(total)")
            }
            lines.append("slipway_registry_request_seconds_sum{operation=\"\(operation)\"} \(times.sum)")
            lines.append("slipway_registry_request_seconds_count{operation=\"\(operation)\"} \(total)")
        }
        lines += [
            "# HELP slipway_registry_sent_bytes_total Bytes of answers, as announced.",
            "# TYPE slipway_registry_sent_bytes_total counter", "slipway_registry_sent_bytes_total \(state.sent)",
            "# HELP slipway_registry_received_bytes_total Bytes of blobs received.",
            "# TYPE slipway_registry_received_bytes_total counter", "slipway_registry_received_bytes_total \(state.received)",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}

extension RegistryPath {
    /// What a request does, from a small set of words: `manifest_get`, `upload_patch`, `other`.
    static func operation(of request: Request) -> String {
        let path: RegistryPath? = try? RegistryPath(request.uri.path)
        let method: String
        switch request.method {
        case .get: method = "get"
        case .head: method = "head"
        case .put: method = "put"
        case .post: method = "post"
        case .patch: method = "patch"
        case .delete: method = "delete"
        default: return "other"
        }
        switch path {
        case .base: return "base_\(method)"
        case .catalog: return "catalog_\(method)"
        case .manifest: return "manifest_\(method)"
        case .blob: return "blob_\(method)"
        case .uploads, .upload: return "upload_\(method)"
        case .tags: return "tags_\(method)"
        case .referrers: return "referrers_\(method)"
        case nil: return "other"
        }
    }
}
