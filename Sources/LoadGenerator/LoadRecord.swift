public import DeliveryModel

/// What a load has met so far, second by second. Its size depends on the time, not on the number of requests.
public struct LoadRecord: Sendable {
    /// All requests that were due in one second.
    public struct Second: Sendable {
        public var sent = 0
        public var failed = 0
        public var cut = 0
        /// Of requests whose time counts.
        public var latency = LatencyHistogram()
    }

    public private(set) var seconds: [Second] = []
    /// Answers by the second in which they came, and by version.
    public private(set) var versions: [[String: Int]] = []
    public private(set) var sent: [LoadMix.Kind: Int] = [:]
    public private(set) var failed: [LoadMix.Kind: Int] = [:]
    public private(set) var reconnected = 0
    public private(set) var cut = 0
    /// Failed and cut ones by the version that the answer named; "" where it named none.
    public private(set) var lost: [String: Int] = [:]
    /// By why; the rarer ones under one name once there are many.
    public private(set) var reasons: [String: Int] = [:]
    private var names: Set<String> = []

    public init() {}

    public var total: Int { sent.values.reduce(0, +) }
    public var failures: Int { failed.values.reduce(0, +) }

    public mutating func add(_ outcome: LoadOutcome) {
        let second = Self.index(outcome.due)
        while seconds.count <= second { seconds.append(Second()) }
        sent[outcome.kind, default: 0] += 1
        seconds[second].sent += 1
        if outcome.reconnected { reconnected += 1 }
        let version = outcome.version.map { name($0) }
        if outcome.end != .answered { lost[version ?? "", default: 0] += 1 }
        switch outcome.end {
        case .answered: if outcome.kind.isTimed { seconds[second].latency.add(seconds: outcome.ended - outcome.due) }
        case .failed(let reason):
            failed[outcome.kind, default: 0] += 1
            seconds[second].failed += 1
            let name = "\(outcome.kind.rawValue): \(reason.prefix(200))"
            reasons[reasons.count < 50 || reasons[name] != nil ? name : "others", default: 0] += 1
        case .cut:
            cut += 1
            seconds[second].cut += 1
        }
        guard let version else { return }
        let end = Self.index(outcome.ended)
        while versions.count <= end { versions.append([:]) }
        versions[end][version, default: 0] += 1
    }

    private mutating func name(_ version: String) -> String {
        if names.count < 1000 { names.insert(version) }
        return names.contains(version) ? version : "others"
    }

    /// Times of requests that were due in `[from, to)` seconds after the start.
    public func latency(from: Double, to: Double) -> LatencyHistogram {
        var sum = LatencyHistogram()
        for second in seconds[clamped(from, to, seconds.count)] { sum.add(second.latency) }
        return sum
    }

    /// Who answered in that span, and how often; empty when answers do not tell.
    public func versions(from: Double, to: Double) -> [String: Int] {
        versions[clamped(from, to, versions.count)].reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
    }

    private func clamped(_ from: Double, _ to: Double, _ count: Int) -> Range<Int> {
        let start = min(Self.index(from), count)
        return start..<max(start, min(Self.index(to.rounded(.up)), count))
    }

    private static func index(_ seconds: Double) -> Int { Int(min(max(0, seconds), 1e6)) }
}
