public import DeliveryModel

/// What deployments did to the users of a service.
public struct ProofReport: Codable, Sendable {
    /// Times of the requests of a span, in milliseconds.
    public struct Times: Codable, Hashable, Sendable {
        public var requests: Int
        public var p50: Double?
        public var p99: Double?

        public init(_ latency: LatencyHistogram) {
            requests = latency.count
            p50 = latency.quantile(0.5).map { ($0 * 10_000).rounded() / 10 }
            p99 = latency.quantile(0.99).map { ($0 * 10_000).rounded() / 10 }
        }
    }

    public struct Deployment: Codable, Hashable, Sendable {
        public var id: Int64
        public var run: Int64
        public var isBad: Bool
        /// `succeeded`, `failed`, …
        public var state: String
        public var message: String?
        /// When it was asked for and when it was over, in seconds after the start of the load.
        public var began: Double
        public var ended: Double
        /// When it was first seen to go back; nil when it never did.
        public var turned: Double?
        /// The largest share of the requests that the router was told to give it, in percent, until it turned.
        public var share: Double
        /// How many of the requests that were due those shares come to, a second after the turn included.
        public var allowance: Double
        /// Requests that versions answered which did not serve before it, by version; nil when answers do not name one.
        public var met: [String: Int]? { didSet { exposure = met.map { $0.values.reduce(0, +) } } }
        /// Requests that such versions answered.
        public private(set) var exposure: Int?

        public init(
            id: Int64, run: Int64, isBad: Bool, state: String, message: String?, began: Double, ended: Double, turned: Double?,
            share: Double, allowance: Double, met: [String: Int]? = nil
        ) {
            self.id = id
            self.run = run
            self.isBad = isBad
            self.state = state
            self.message = message
            self.began = began
            self.ended = ended
            self.turned = turned
            self.share = share
            self.allowance = allowance
            self.met = met
            exposure = met.map { $0.values.reduce(0, +) }
        }

        /// Seconds from the turn to the end of the way back.
        public var rollback: Double? { turned.map { ended - $0 } }
        /// A good release arrives; a bad one does not stay, and meets no more users than its share: a request that was tried again
        /// elsewhere counts for the last one who was asked.
        public var isAsExpected: Bool {
            isBad ? state != "succeeded" && Double(exposure ?? 0) <= allowance * 1.05 + 5 : state == "succeeded"
        }
    }

    public var stage: String
    /// Requests a second.
    public var rate: Int
    public var seconds: Double
    public var sent: Int
    public var failed: Int
    /// WebSockets that the other side closed before their time.
    public var webSocketsCut: Int
    /// Failed requests and cut WebSockets by the version that the answer named; "" where it named none.
    public var lostByVersion: [String: Int]
    /// Those of bad releases.
    public var lostToBad: Int
    /// Answers by version.
    public var versions: [String: Int]
    /// Kept connections that were found closed, where the client opened another one.
    public var reconnected: Int
    public var byKind: [String: Int]
    public var reasons: [String: Int]
    /// Before the first deployment, and from then on.
    public var before: Times
    public var during: Times
    /// While good releases were deployed: from when each was asked for until it was over.
    public var duringGood: Times
    public var deployments: [Deployment]

    public init(stage: String, rate: Int, record: LoadRecord, seconds: Double, baseline: Double, deployments: [Deployment]) {
        self.stage = stage
        self.rate = rate
        self.seconds = (seconds * 10).rounded() / 10
        sent = record.total
        failed = record.failures
        webSocketsCut = record.cut
        lostByVersion = record.lost
        let bad = Set(deployments.filter(\.isBad).flatMap { ($0.met ?? [:]).keys })
        lostToBad = record.lost.filter { bad.contains($0.key) }.values.reduce(0, +)
        versions = record.versions(from: 0, to: .infinity)
        reconnected = record.reconnected
        byKind = record.sent.reduce(into: [:]) { $0[$1.key.rawValue] = $1.value }
        reasons = record.reasons
        before = Times(record.latency(from: 0, to: baseline))
        during = Times(record.latency(from: baseline, to: seconds))
        var good = LatencyHistogram()
        for one in deployments where !one.isBad { good.add(record.latency(from: one.began, to: one.ended)) }
        duringGood = Times(good)
        self.deployments = deployments
    }

    /// Beyond what bad releases lost themselves.
    public var lost: Int { failed + webSocketsCut - lostToBad }

    /// Nothing else was lost, and every deployment ended as its release deserves.
    public var isGood: Bool { lost == 0 && sent > 0 && deployments.allSatisfy(\.isAsExpected) }

    /// What versions answered that did not serve before, between two moments; nil when answers name none.
    public static func met(_ record: LoadRecord, from began: Double, to ended: Double) -> [String: Int]? {
        // The second in which it began belongs to both.
        let serving = Set(record.versions(from: max(0, began - 3), to: began.rounded(.down)).keys)
        let answered = record.versions(from: began, to: ended)
        guard !serving.isEmpty || !answered.isEmpty else { return nil }
        return answered.filter { !serving.contains($0.key) }
    }
}
