/// Says whether the version that takes a share of the requests is worse than the one beside it.
///
/// Both must have been counted over the same span, in which their shares did not change: then they differ by nothing but
/// the version, whatever the hour brings. It is asked again and again while requests come in, and the chance that it ever calls
/// a version worse that is not, at any of its looks and by any of its rules, is at most ``falseAlarm``: the rules share it,
/// and the look number k may use 1/(k·(k+1)) of it, which adds up to 1 over any number of looks (alpha spending: Lan and DeMets,
/// Biometrika 70, 1983). How the evidence is weighed is with ``Evidence``.
///
/// Requests are taken to fail independently of each other. A fault that hits both versions at once is no evidence; one that
/// hits a burst of requests of one version counts as often as there are requests in it.
public struct CanaryJudge: Hashable, Sendable {
    public let rules: AbortRules
    /// The chance that a version is called worse that is not.
    public let falseAlarm: Double

    public init(_ rules: AbortRules, falseAlarm: Double = 0.001) {
        self.rules = rules
        self.falseAlarm = min(max(falseAlarm, 1e-9), 0.5)
    }

    /// - Parameters:
    ///   - look: how often these versions have been looked at, this time included.
    ///   - isLast: whether what is waited for is over: who is not worse then has passed, if there were requests enough.
    public func look(_ look: Int, at canary: VersionTraffic, beside base: VersionTraffic, isLast: Bool = false) -> JudgeSample {
        let measures = measures(canary, base, look: look)
        return JudgeSample(
            look: max(1, look), requests: canary.requests, baseRequests: base.requests, measures: measures,
            verdict: verdict(canary, base, measures, isLast: isLast))
    }

    private func measures(_ canary: VersionTraffic, _ base: VersionTraffic, look: Int) -> [JudgeSample.Measure] {
        let count = [rules.errorRate != nil, rules.p50 != nil, rules.p99 != nil].count { $0 }
        let number = Double(max(1, look))
        let needed = Evidence.needed(falseAlarm: falseAlarm / Double(max(1, count)) / (number * (number + 1)))
        var measures: [JudgeSample.Measure] = []
        if let margin = rules.errorRate {
            measures.append(ErrorRateTest(margin: margin).measure(canary, base, needed: needed))
        }
        for (rule, limit) in [(JudgeSample.Rule.p50, rules.p50), (.p99, rules.p99)] {
            guard let limit else { continue }
            measures.append(QuantileTest(rule: rule, limit: limit).measure(canary.latency, base.latency, needed: needed))
        }
        return measures
    }

    private func verdict(
        _ canary: VersionTraffic, _ base: VersionTraffic, _ measures: [JudgeSample.Measure], isLast: Bool
    ) -> JudgeVerdict {
        guard !measures.isEmpty else {
            return isLast ? .passed("there are no rules to judge by") : .undecided("there are no rules to judge by")
        }
        let words = JudgeWords(rules: rules, certainty: 1 - falseAlarm)
        guard canary.requests >= max(1, rules.minimum) else {
            return .undecided(
                "\(JudgeWords.count(canary.requests)) of the \(JudgeWords.count(max(1, rules.minimum))) requests that a judgement needs")
        }
        guard base.requests > 0 else { return .undecided("the base has had no requests to compare with") }
        let worse = measures.filter(\.isWorse)
        guard worse.isEmpty else {
            return .worse(worse.map { words.worse($0, canary, base) }.joined(separator: "; "))
        }
        let facts = measures.map { words.facts($0, canary, base) }.joined(separator: "; ")
        return isLast ? .passed("\(facts): not worse than the rules allow") : .undecided("\(facts): nothing is certain yet")
    }
}

/// What a look at two versions says, with the numbers in words.
public enum JudgeVerdict: Codable, Hashable, Sendable {
    /// Nothing so far; at the end of the time: too little to go by.
    case undecided(String)
    case worse(String)
    /// The time is over, and it is not worse.
    case passed(String)

    public var sentence: String {
        switch self {
        case .undecided(let sentence), .worse(let sentence), .passed(let sentence): sentence
        }
    }
}

/// One look, as it can be drawn.
public struct JudgeSample: Codable, Hashable, Sendable {
    public enum Rule: String, Codable, Hashable, Sendable {
        case errorRate
        case p50
        case p99
    }

    /// What one rule looked at: shares from 0 to 1, or seconds.
    public struct Measure: Codable, Hashable, Sendable {
        public var rule: Rule
        /// Nil without requests.
        public var canary: Double?
        public var base: Double?
        /// What the canary may have, by what the base has.
        public var limit: Double?
        /// Where the canary's true value lies, as certain as a verdict of this look is; a side that nothing is known of is nil.
        public var low: Double?
        public var high: Double?
        /// How much speaks against the rule being kept, and how much it takes; see ``Evidence``.
        public var evidence: Double
        public var needed: Double

        public var isWorse: Bool { evidence >= needed }

        public init(
            rule: Rule, canary: Double?, base: Double?, limit: Double?, low: Double?, high: Double?, evidence: Double, needed: Double
        ) {
            self.rule = rule
            self.canary = canary
            self.base = base
            self.limit = limit
            self.low = low
            self.high = high
            self.evidence = evidence
            self.needed = needed
        }
    }

    public var look: Int
    public var requests: Int
    public var baseRequests: Int
    public var measures: [Measure]
    public var verdict: JudgeVerdict

    public init(look: Int, requests: Int, baseRequests: Int, measures: [Measure], verdict: JudgeVerdict) {
        self.look = look
        self.requests = requests
        self.baseRequests = baseRequests
        self.measures = measures
        self.verdict = verdict
    }
}
