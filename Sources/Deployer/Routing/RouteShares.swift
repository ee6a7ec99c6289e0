/// What each instance gets of a route's requests, so that every version has its share however many instances it has.
enum RouteShares {
    /// The instances that take requests, with whole weights that stand in the exact proportion, as small as that allows.
    static func weights(_ route: Route) -> [(upstream: Upstream, weight: Int)] {
        guard let previous = route.previous else { return reduced(route.upstreams.map { ($0, $0.weight) }) }
        let own = route.upstreams.reduce(0) { $0 + $1.weight }
        let old = previous.upstreams.reduce(0) { $0 + $1.weight }
        return reduced(
            route.upstreams.map { ($0, (1000 - previous.share) * $0.weight * old) }
                + previous.upstreams.map { ($0, previous.share * $0.weight * own) })
    }

    /// The same for a router whose weights go up to `most`: all instances of a route, those without requests with 0. They are as
    /// large as they can be, because haproxy's turns miss the share by a percent or more where weights are small. The share of
    /// a version is wrong by a thousandth of it, or by more where no weights come so near; where instances are many, some of
    /// them may be left out for it.
    static func weights(_ route: Route, most: Int) -> [(upstream: Upstream, weight: Int)] {
        guard let previous = route.previous else {
            let exact = weights(route)
            return exact.allSatisfy { $0.weight <= most } ? exact : parts(of: capacity(route.upstreams, most), among: route.upstreams)
        }
        let (own, old) = totals(
            1000 - previous.share, previous.share, capacity(route.upstreams, most), capacity(previous.upstreams, most))
        return parts(of: own, among: route.upstreams) + parts(of: old, among: previous.upstreams)
    }

    /// Two numbers up to their limits that stand as near as can be in the proportion of two shares, the largest of those that are near.
    private static func totals(_ ownShare: Int, _ oldShare: Int, _ ownLimit: Int, _ oldLimit: Int) -> (own: Int, old: Int) {
        guard ownShare > 0 else { return (0, oldLimit) }
        guard oldShare > 0 else { return (ownLimit, 0) }
        var best = (own: 1, old: 1)
        var least = Double.infinity
        let wanted = Double(ownShare) / Double(oldShare)
        for own in 1...max(1, ownLimit) {
            let old = max(1, (own * oldShare * 2 + ownShare) / (2 * ownShare))
            if old > oldLimit { break }
            let found = Double(own) / Double(old)
            let wrong = max(0.001, max(found / wanted, wanted / found) - 1)
            if wrong <= least { (best, least) = ((own, old), wrong) }
        }
        // A share so small that one part is too much.
        return least == .infinity ? (1, oldLimit) : best
    }

    /// What instances of these weights can take together, none more than `most`.
    private static func capacity(_ upstreams: [Upstream], _ most: Int) -> Int {
        let sum = upstreams.reduce(0) { $0 + $1.weight }
        return most * sum / max(1, upstreams.map(\.weight).max() ?? 1)
    }

    /// Whole parts by weight; what is left over goes to those who lack most.
    private static func parts(of total: Int, among upstreams: [Upstream]) -> [(upstream: Upstream, weight: Int)] {
        let sum = max(1, upstreams.reduce(0) { $0 + $1.weight })
        var parts = upstreams.map { (upstream: $0, weight: total * $0.weight / sum) }
        let lacking = upstreams.indices.sorted { left, right in
            (total * upstreams[left].weight % sum, right) > (total * upstreams[right].weight % sum, left)
        }
        for index in lacking.prefix(total - parts.reduce(0) { $0 + $1.weight }) { parts[index].weight += 1 }
        return parts
    }

    private static func reduced(_ weights: [(upstream: Upstream, weight: Int)]) -> [(upstream: Upstream, weight: Int)] {
        let divisor = weights.reduce(0) { greatestCommonDivisor($0, $1.weight) }
        return weights.filter { $0.weight > 0 }.map { ($0.upstream, $0.weight / max(1, divisor)) }
    }

    private static func greatestCommonDivisor(_ left: Int, _ right: Int) -> Int {
        right == 0 ? left : greatestCommonDivisor(right, left % right)
    }
}
