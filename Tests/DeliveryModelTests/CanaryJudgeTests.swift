import Testing

@testable import DeliveryModel

/// Numbers from a seed, the same everywhere: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// A version that answers at random.
private struct Version {
    var errors: Double
    /// Seconds added to each answer.
    var slower = 0.0

    /// Mostly around 100 ms, a few up to a second and more.
    func answer(_ count: Int, into traffic: inout VersionTraffic, timed: Bool, _ random: inout SeededGenerator) {
        for _ in 0..<count {
            traffic.requests += 1
            if random.unit() < errors { traffic.errors += 1 }
            guard timed else { continue }
            let usual = 0.06 + 0.08 * random.unit()
            traffic.latency.add(seconds: slower + (random.unit() < 0.03 ? usual + random.unit() : usual))
        }
    }
}

/// A hold: looks every few seconds while requests come in.
private struct Hold {
    var rules: AbortRules
    var looks: Int
    /// Between two looks.
    var requests: Int
    var baseRequests: Int
    var timed: Bool

    /// The look that found the version worse; nil when it passed.
    func run(_ version: Version, beside base: Version, seed: UInt64) -> Int? {
        var random = SeededGenerator(state: seed)
        let judge = CanaryJudge(rules)
        var canary = VersionTraffic(deployment: "new")
        var old = VersionTraffic(deployment: "old")
        for look in 1...looks {
            version.answer(requests, into: &canary, timed: timed, &random)
            base.answer(baseRequests, into: &old, timed: timed, &random)
            let sample = judge.look(look, at: canary, beside: old, isLast: look == looks)
            if case .worse = sample.verdict { return look }
        }
        return nil
    }

    func runs(_ count: Int, _ version: Version, beside base: Version) -> [Int] {
        (0..<count).compactMap { run(version, beside: base, seed: UInt64($0) &* 7919 &+ 1) }
    }
}

struct CanaryJudgeTests {
    /// Two percent more errors, where one is allowed; 50 requests a second to the new version, 150 to the base, a look every ten seconds
    /// for ten minutes.
    @Test func findsMoreErrorsWithinTheHold() {
        let hold = Hold(rules: AbortRules(errorRate: 0.01), looks: 60, requests: 500, baseRequests: 1500, timed: false)
        let found = hold.runs(200, Version(errors: 0.03), beside: Version(errors: 0.01))
        #expect(found.count >= 198, "\(found.count) of 200")
        print("2 % more errors: \(found.count) of 200, after \(found.sorted()[found.count / 2] * 10) s as a rule")
    }

    /// 50 ms more where 20 are allowed, by the median and by the slowest hundredth; 20 requests a second for two minutes.
    @Test(arguments: [AbortRules(p50: .plus(0.02)), AbortRules(p99: .times(1.02))])
    func findsSlowerAnswersWithinTheHold(rules: AbortRules) {
        let isMedian = rules.p50 != nil
        let hold = Hold(rules: rules, looks: 24, requests: isMedian ? 100 : 400, baseRequests: isMedian ? 100 : 400, timed: true)
        // The slowest hundredth of a service of even times.
        let found = (0..<200).compactMap { seed -> Int? in
            isMedian ? hold.run(Version(errors: 0, slower: 0.05), beside: Version(errors: 0), seed: UInt64(seed)) : hold.evenTimes(seed: UInt64(seed))
        }
        #expect(found.count >= 198, "\(found.count) of 200")
        print("50 ms more, \(isMedian ? "p50" : "p99"): \(found.count) of 200, after \((found.sorted()[found.count / 2]) * 5) s as a rule")
    }

    /// The same version twice is hardly ever called worse, even where nothing is allowed and it is looked at all the time.
    @Test func leavesEqualVersionsAlone() {
        let rules = AbortRules(errorRate: 0, p99: .times(1), p50: .times(1))
        let timed = Hold(rules: rules, looks: 40, requests: 20, baseRequests: 40, timed: true)
        let aborted = timed.runs(220, Version(errors: 0.02), beside: Version(errors: 0.02))
        #expect(aborted.count <= 2, "\(aborted.count) of 220")
        let errors = Hold(rules: AbortRules(errorRate: 0), looks: 200, requests: 20, baseRequests: 20, timed: false)
        let failed = errors.runs(400, Version(errors: 0.05), beside: Version(errors: 0.05))
        #expect(failed.count <= 4, "\(failed.count) of 400")
        print("equal versions: \(aborted.count) of 220 and \(failed.count) of 400 aborted")
    }

    /// At the very edge of what is allowed the rate of false alarms is what was promised, or less.
    @Test func keepsItsPromiseAtTheMargin() {
        let judge = CanaryJudge(AbortRules(errorRate: 0.01, minimum: 1), falseAlarm: 0.1)
        var alarms = 0
        for seed in 0..<300 {
            var random = SeededGenerator(state: UInt64(seed) &* 104_729)
            var canary = VersionTraffic(deployment: "new")
            var base = VersionTraffic(deployment: "old")
            for look in 1...40 {
                Version(errors: 0.03).answer(50, into: &canary, timed: false, &random)
                Version(errors: 0.02).answer(50, into: &base, timed: false, &random)
                if case .worse = judge.look(look, at: canary, beside: base).verdict {
                    alarms += 1
                    break
                }
            }
        }
        #expect(alarms <= 30, "\(alarms) of 300")
        print("at the margin: \(alarms) of 300, 30 allowed")
    }

    func traffic(_ requests: Int, errors: Int, seconds: Double = 0.1) -> VersionTraffic {
        var traffic = VersionTraffic(deployment: "d", requests: requests, errors: errors)
        traffic.latency.add(seconds: seconds, times: requests)
        return traffic
    }

    @Test func saysWhyInWords() {
        let judge = CanaryJudge(AbortRules(errorRate: 0.01, p99: .times(1.5), p50: .plus(0.05)))
        let worse = judge.look(1, at: traffic(1240, errors: 64), beside: traffic(4960, errors: 45)).verdict
        #expect(
            worse == .worse("5.2 % of 1,240 requests failed, 0.9 % of the base's 4,960: worse by more than 1 % with 99.9 % certainty"))
        let slow = judge.look(2, at: traffic(1000, errors: 0, seconds: 0.4), beside: traffic(4000, errors: 0)).verdict
        #expect(
            slow
                == .worse(
                    "half of the requests took up to 404 ms, of the base's up to 103 ms: longer by more than 50 ms with 99.9 % certainty; "
                        + "99 of 100 requests took up to 404 ms, of the base's up to 103 ms: more than 1.5 times the base's with 99.9 % certainty"))
        let errors = CanaryJudge(AbortRules(errorRate: 0.01))
        #expect(
            errors.look(3, at: traffic(200, errors: 3), beside: traffic(800, errors: 8)).verdict
                == .undecided("1.5 % of 200 requests failed, 1 % of the base's 800: nothing is certain yet"))
        #expect(
            errors.look(3, at: traffic(200, errors: 3), beside: traffic(800, errors: 8), isLast: true).verdict
                == .passed("1.5 % of 200 requests failed, 1 % of the base's 800: not worse than the rules allow"))
    }

    @Test func judgesNobodyByTooLittle() {
        let judge = CanaryJudge(AbortRules(errorRate: 0.01, minimum: 100))
        for isLast in [false, true] {
            #expect(
                judge.look(1, at: traffic(99, errors: 99), beside: traffic(4000, errors: 0), isLast: isLast).verdict
                    == .undecided("99 of the 100 requests that a judgement needs"))
            #expect(
                judge.look(1, at: traffic(100, errors: 100), beside: traffic(0, errors: 0), isLast: isLast).verdict
                    == .undecided("the base has had no requests to compare with"))
        }
        guard case .worse = judge.look(1, at: traffic(100, errors: 100), beside: traffic(100, errors: 0)).verdict else {
            Issue.record("all requests failed")
            return
        }
        #expect(
            CanaryJudge(AbortRules()).look(1, at: traffic(100, errors: 100), beside: traffic(100, errors: 0), isLast: true).verdict.sentence.contains(
                "no rules"))
    }

    @Test func evenOddRulesDoNotTrap() {
        for value in [Double.nan, .infinity, -.infinity, -1, 1e300, 0] {
            let judge = CanaryJudge(AbortRules(errorRate: value, p99: .times(value), p50: .plus(value), minimum: -1), falseAlarm: value)
            for (canary, base) in [(traffic(0, errors: 0), traffic(0, errors: 0)), (traffic(10, errors: 10, seconds: 9999), traffic(10, errors: 0))] {
                let sample = judge.look(.min, at: canary, beside: base, isLast: true)
                #expect(!sample.verdict.sentence.isEmpty)
            }
        }
    }

    @Test func aSampleCanBeDrawn() throws {
        let sample = CanaryJudge(AbortRules(errorRate: 0.01, p99: .plus(0.1))).look(
            4, at: traffic(2000, errors: 40), beside: traffic(4000, errors: 40))
        #expect(sample.measures.map(\.rule) == [.errorRate, .p99])
        let errors = sample.measures[0]
        #expect(errors.canary == 0.02 && errors.base == 0.01 && errors.limit == 0.02)
        let low = try #require(errors.low)
        let high = try #require(errors.high)
        #expect(low > 0.005 && low < 0.02 && high > 0.02 && high < 0.05)
        let times = sample.measures[1]
        let limit = try #require(times.limit)
        #expect(limit > 0.2 && times.evidence == 0 && times.needed > 6)
    }

    @Test func evidenceIsWhatItSays() {
        // The chance that a gamma variable of shape 2 exceeds t is exp(-t)·(1+t).
        #expect(abs(Evidence.needed(falseAlarm: 0.05) - 4.743_864_518_2) < 1e-6)
        #expect(abs(Evidence.divergence(0.5, 0.25) - 0.143_841_036_2) < 1e-9)
        #expect(Evidence.divergence(0, 0) == 0 && Evidence.divergence(0.1, 0) == .infinity && Evidence.divergence(1, 1) == 0)
        #expect(Evidence.above(1, of: 10, 0.2) == 0 && Evidence.below(3, of: 10, 0.2) == 0 && Evidence.above(3, of: 0, 0.2) == 0)
    }
}

extension Hold {
    /// A service whose times hardly differ, 50 ms slower.
    fileprivate func evenTimes(seed: UInt64) -> Int? {
        var random = SeededGenerator(state: seed)
        var canary = VersionTraffic(deployment: "new")
        var base = VersionTraffic(deployment: "old")
        for look in 1...looks {
            for _ in 0..<requests {
                base.latency.add(seconds: 0.1 + 0.02 * random.unit())
                canary.latency.add(seconds: 0.15 + 0.02 * random.unit())
            }
            (canary.requests, base.requests) = (canary.latency.count, base.latency.count)
            if case .worse = CanaryJudge(rules).look(look, at: canary, beside: base).verdict { return look }
        }
        return nil
    }
}
