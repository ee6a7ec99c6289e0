import Glibc

/// How strongly counts speak against a claim about two versions.
///
/// When each of n requests has a property with probability p, the chance that their observed share is q or farther from p on
/// that side is at most exp(-n·D(q, p)), with D the relative entropy of the two (Chernoff, Annals of Mathematical Statistics 23,
/// 1952; Hoeffding, JASA 58, 1963, theorem 1). So n·D of one version is, at the true p, no larger than an exponential variable of
/// mean 1; the sum for two independent versions is no larger than a gamma variable of shape 2, which exceeds t with
/// probability exp(-t)·(1+t). A claim such as "the canary's p is at most the base's plus a margin" leaves open what the base's p is;
/// its evidence is the smallest such sum over all that p can be, so the base's own uncertainty is accounted for. Nothing here is an
/// approximation for large numbers: it holds for ten requests as for a million.
public enum Evidence {
    /// The evidence that is reached by chance with a probability of `falseAlarm`.
    static func needed(falseAlarm: Double) -> Double {
        var low = 0.0
        var high = 800.0
        for _ in 0..<80 {
            let middle = (low + high) / 2
            if exp(-middle) * (1 + middle) > falseAlarm { low = middle } else { high = middle }
        }
        return high
    }

    /// Relative entropy of shares, in nats.
    static func divergence(_ seen: Double, _ claimed: Double) -> Double {
        func part(_ share: Double, _ other: Double) -> Double {
            if share <= 0 { return 0 }
            return other <= 0 ? .infinity : share * log(share / other)
        }
        return max(0, part(seen, claimed) + part(1 - seen, 1 - claimed))
    }

    /// Against the claim that at most `claimed` of all have the property.
    static func above(_ count: Int, of total: Int, _ claimed: Double) -> Double {
        guard total > 0 else { return 0 }
        let seen = Double(count) / Double(total)
        return seen > claimed ? Double(total) * divergence(seen, claimed) : 0
    }

    /// Against the claim that at least `claimed` of all have the property.
    static func below(_ count: Int, of total: Int, _ claimed: Double) -> Double {
        guard total > 0 else { return 0 }
        let seen = Double(count) / Double(total)
        return seen < claimed ? Double(total) * divergence(seen, claimed) : 0
    }
}

/// Whether more requests fail than the base's share and a margin allow.
struct ErrorRateTest {
    let margin: Double

    init(margin: Double) { self.margin = margin.isFinite ? min(max(margin, 0), 1) : 1 }

    func measure(_ canary: VersionTraffic, _ base: VersionTraffic, needed: Double) -> JudgeSample.Measure {
        JudgeSample.Measure(
            rule: .errorRate, canary: canary.errorRate, base: base.errorRate, limit: base.errorRate.map { min(1, $0 + margin) },
            low: bound(canary, needed, towards: 0), high: bound(canary, needed, towards: 1),
            evidence: evidence(canary, base), needed: needed)
    }

    /// The sum falls on one side of its only minimum and rises on the other: the interval is narrowed by thirds.
    func evidence(_ canary: VersionTraffic, _ base: VersionTraffic) -> Double {
        guard let rate = canary.errorRate, let baseRate = base.errorRate, rate - margin > baseRate else { return 0 }
        func sum(_ share: Double) -> Double {
            Evidence.above(canary.errors, of: canary.requests, share + margin) + Evidence.below(base.errors, of: base.requests, share)
        }
        var low = baseRate
        var high = rate - margin
        for _ in 0..<100 {
            let third = (high - low) / 3
            if sum(low + third) < sum(high - third) { high -= third } else { low += third }
        }
        return sum((low + high) / 2)
    }

    /// The share farthest from what was seen, on one side, that is not refuted.
    private func bound(_ version: VersionTraffic, _ needed: Double, towards end: Double) -> Double? {
        guard let rate = version.errorRate else { return nil }
        var near = rate
        var far = end
        for _ in 0..<60 {
            let middle = (near + far) / 2
            if Double(version.requests) * Evidence.divergence(rate, middle) <= needed { near = middle } else { far = middle }
        }
        return near
    }
}

/// Whether the time that a share of the requests takes at most is longer than the base's allows: without a guess about how times are
/// distributed, by how many requests are slower than that.
///
/// For each time that may be the base's true quantile it asks how many of the base's requests say otherwise, and how many of
/// the canary's take longer than the limit made of it. Times are known by their bucket; the bounds of buckets are taken
/// so that this never speaks for a difference.
struct QuantileTest {
    let rule: JudgeSample.Rule
    let limit: AbortRules.Limit

    /// The share of requests that may take longer.
    private var slower: Double { rule == .p50 ? 0.5 : 0.01 }

    func measure(_ canary: LatencyHistogram, _ base: LatencyHistogram, needed: Double) -> JudgeSample.Measure {
        let baseTime = base.quantile(1 - slower)
        let behind = canary.behind
        let buckets = behind.indices.dropLast()
        return JudgeSample.Measure(
            rule: rule, canary: canary.quantile(1 - slower), base: baseTime, limit: baseTime.map(allowed),
            low: buckets.last { Evidence.above(behind[$0], of: canary.count, slower) >= needed }.map(LatencyHistogram.upperBound),
            high: buckets.first { Evidence.below(behind[$0], of: canary.count, slower) >= needed }.map(LatencyHistogram.upperBound),
            evidence: evidence(canary, base), needed: needed)
    }

    func evidence(_ canary: LatencyHistogram, _ base: LatencyHistogram) -> Double {
        let (total, baseTotal) = (canary.count, base.count)
        guard total > 0, baseTotal > 0 else { return 0 }
        let (behind, baseBehind) = (canary.behind, base.behind)
        var least = Double.infinity
        for bucket in behind.indices {
            // The base's quantile is in this bucket: at least `slower` of all take longer than the bucket before.
            let baseCount = bucket == 0 ? baseTotal : baseBehind[bucket - 1]
            let latest = behind[LatencyHistogram.bucket(of: allowed(LatencyHistogram.upperBound(of: bucket)))]
            least = min(
                least, Evidence.below(baseCount, of: baseTotal, slower) + Evidence.above(latest, of: total, slower))
        }
        return least
    }

    private func allowed(_ time: Double) -> Double {
        switch limit {
        case .times(let factor): factor.isFinite ? time * max(0, factor) : .infinity
        case .plus(let seconds): seconds.isFinite ? time + max(0, seconds) : .infinity
        }
    }
}

extension LatencyHistogram {
    /// By bucket: how many requests are in later ones.
    fileprivate var behind: [Int] {
        let last = Self.bucket(of: .infinity)
        var behind = [Int](repeating: 0, count: last + 1)
        for (bucket, times) in counts where bucket > 0 { behind[min(bucket, last) - 1] += times }
        for bucket in behind.indices.dropLast().reversed() { behind[bucket] += behind[bucket + 1] }
        return behind
    }
}
