/// How a deployment takes the place of the one before it.
public enum RolloutStrategy: Codable, Hashable, Sendable {
    case blueGreen(BlueGreen)
    case rolling(Rolling)
    case canary(Canary)

    /// The whole new set starts beside the old one, and takes all requests at once.
    public struct BlueGreen: Codable, Hashable, Sendable {
        /// A host name that reaches the new instances before the switch.
        public var preview: String?
        /// What is waited for before the switch, with the new instances healthy.
        public var pause: Hold?

        public init(preview: String? = nil, pause: Hold? = nil) {
            self.preview = preview
            self.pause = pause
        }
    }

    /// A few instances at a time.
    public struct Rolling: Codable, Hashable, Sendable {
        /// How many instances more than wanted there may be.
        public var maxSurge: Int
        /// How many instances fewer than wanted may serve.
        public var maxUnavailable: Int
        /// Seconds for which new instances must stay healthy before old ones go.
        public var ready: Double

        public init(maxSurge: Int = 1, maxUnavailable: Int = 0, ready: Double = 0) {
            self.maxSurge = maxSurge
            self.maxUnavailable = maxUnavailable
            self.ready = ready
        }
    }

    /// A growing share of the requests.
    public struct Canary: Codable, Hashable, Sendable {
        /// Shares of the new version in thousandths, growing; the full share comes after the last one.
        public var weights: [Int]
        /// What is waited for at each of them.
        public var hold: Hold
        /// What ends the rollout while both versions serve.
        public var abortIf: AbortRules?
        /// Whether clients choose a version by header or cookie.
        public var pin: Bool

        public init(weights: [Int], hold: Hold = .seconds(60), abortIf: AbortRules? = nil, pin: Bool = false) {
            self.weights = weights
            self.hold = hold
            self.abortIf = abortIf
            self.pin = pin
        }
    }

    public enum Hold: Codable, Hashable, Sendable {
        case seconds(Double)
        /// Until a person says so.
        case manual
    }

    /// What the monitoring is asked meanwhile.
    public var query: String? {
        if case .canary(let canary) = self { canary.abortIf?.query } else { nil }
    }

    /// One word for people.
    public var name: String {
        switch self {
        case .blueGreen: "blue-green"
        case .rolling: "rolling"
        case .canary: "canary"
        }
    }
}

/// What makes the new version count as worse than the one that serves beside it.
public struct AbortRules: Codable, Hashable, Sendable {
    /// By how much the share of failed requests may be larger than that of the base; 0.01 is one percentage point.
    public var errorRate: Double?
    /// Of the time that 99 of 100 requests take at most, or the one of 2.
    public var p99: Limit?
    public var p50: Limit?
    /// What the monitoring is asked, as in an alerting rule: a series that answers makes the new version worse.
    public var query: String?
    /// Requests that the new version must have answered before it is judged.
    public var minimum: Int

    /// How much longer than the base it may take.
    public enum Limit: Codable, Hashable, Sendable {
        /// Times the base: 1.5 is half as long again.
        case times(Double)
        /// Seconds more than the base.
        case plus(Double)
    }

    /// Whether the router's log has a say.
    public var comparesTraffic: Bool { errorRate != nil || p99 != nil || p50 != nil }

    public init(errorRate: Double? = nil, p99: Limit? = nil, p50: Limit? = nil, query: String? = nil, minimum: Int = 100) {
        self.errorRate = errorRate
        self.p99 = p99
        self.p50 = p50
        self.query = query
        self.minimum = minimum
    }
}
