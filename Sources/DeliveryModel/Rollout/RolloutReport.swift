/// How the two versions of a canary compare, look by look.
public struct RolloutReport: Codable, Hashable, Sendable {
    public struct Sample: Codable, Hashable, Sendable {
        /// Seconds since 1970.
        public var at: Double
        /// The new version's share in thousandths.
        public var share: Int
        public var new: Numbers
        public var old: Numbers

        public init(at: Double, share: Int, new: Numbers, old: Numbers) {
            self.at = at
            self.share = share
            self.new = new
            self.old = old
        }
    }

    /// Of one version since its share was last changed.
    public struct Numbers: Codable, Hashable, Sendable {
        public var requests: Int
        public var errors: Int
        /// Seconds; nil without requests.
        public var p50: Double?
        public var p99: Double?

        public init(_ traffic: VersionTraffic) {
            requests = traffic.requests
            errors = traffic.errors
            p50 = traffic.latency.quantile(0.5)
            p99 = traffic.latency.quantile(0.99)
        }
    }

    public private(set) var samples: [Sample] = []
    /// What the last look showed, in words.
    public private(set) var verdict: String?
    /// How often the versions were looked at with the share they have now.
    public private(set) var looks = 0

    public init() {}

    private static let limit = 200

    /// The number of the next look at versions with this share.
    public func nextLook(share: Int) -> Int { samples.last?.share == share ? looks + 1 : 1 }

    /// Adds a look. With too many of them every second one is left out, so that the whole time stays in sight.
    public mutating func add(_ sample: Sample, verdict: String) {
        looks = nextLook(share: sample.share)
        self.verdict = verdict
        if samples.count >= Self.limit { samples = samples.enumerated().filter { $0.offset % 2 == 0 }.map(\.element) }
        samples.append(sample)
    }
}
