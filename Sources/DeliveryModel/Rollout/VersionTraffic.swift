/// What one version of a service answered in a span of time, as the router saw it.
public struct VersionTraffic: Codable, Hashable, Sendable {
    /// Id of the deployment.
    public var deployment: String
    public var requests: Int
    /// Answers with a status of 500 and above, and requests that got no answer.
    public var errors: Int
    public var latency: LatencyHistogram

    public init(deployment: String, requests: Int = 0, errors: Int = 0, latency: LatencyHistogram = LatencyHistogram()) {
        self.deployment = deployment
        self.requests = requests
        self.errors = errors
        self.latency = latency
    }

    /// From 0 to 1; nil without requests.
    public var errorRate: Double? { requests == 0 ? nil : Double(errors) / Double(requests) }
}

/// How long requests took: counts by buckets that grow by a twentieth, from one millisecond to ten minutes.
public struct LatencyHistogram: Codable, Hashable, Sendable {
    /// By number of the bucket; see ``upperBound(of:)``.
    public private(set) var counts: [Int: Int] = [:]

    public init() {}

    public var count: Int { counts.values.reduce(0, +) }

    /// What all of them took together, in seconds; at most a twentieth too much.
    public var seconds: Double { counts.reduce(0) { $0 + Self.upperBound(of: $1.key) * Double($1.value) } }

    public mutating func add(seconds: Double, times: Int = 1) { counts[Self.bucket(of: seconds), default: 0] += times }

    public mutating func add(_ other: LatencyHistogram) { counts.merge(other.counts, uniquingKeysWith: +) }

    /// The time that `share` of the requests took at most, in seconds; nil without requests.
    public func quantile(_ share: Double) -> Double? {
        let wanted = max(1, Int((share * Double(count)).rounded(.up)))
        var seen = 0
        for (bucket, times) in counts.sorted(by: { $0.key < $1.key }) {
            seen += times
            if seen >= wanted { return Self.upperBound(of: bucket) }
        }
        return nil
    }

    /// The longest time that is counted in a bucket, in seconds.
    public static func upperBound(of bucket: Int) -> Double { bounds[min(max(0, bucket), bounds.count - 1)] }

    static func bucket(of seconds: Double) -> Int {
        var low = 0
        var high = bounds.count - 1
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < seconds { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static let bounds: [Double] = {
        var bounds = [0.001]
        while let last = bounds.last, last < 600 { bounds.append(last * 1.05) }
        return bounds
    }()
}
