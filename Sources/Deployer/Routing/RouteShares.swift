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

    /// The same for a router whose weights go up to `most`: all instances of a route, those without requests with 0. The share of a
    /// version is wrong by less than one part in `most`, or as much as that when it is smaller than that; where instances are many,
    /// some of them may be left out for it.
    static func weights(_ route: Route, most: Int) -> [(upstream: Upstream, weight: Int)] {
        let all = route.upstreams + (route.previous?.upstreams ?? [])
        let exact = weights(route)
        if exact.allSatisfy({ $0.weight <= most }) {
            return all.map { upstream in (upstream, exact.first { $0.upstream == upstream }?.weight ?? 0) }
        }
        guard let previous = route.previous else { return parts(of: capacity(all, most), among: all) }
        let (own, old) = (capacity(route.upstreams, most), capacity(previous.upstreams, most))
        let (ownShare, oldShare) = (Double(1000 - previous.share), Double(previous.share))
        let scale = min(ownShare > 0 ? Double(own) / ownShare : .infinity, Double(old) / oldShare)
        func total(_ share: Double) -> Int { share > 0 ? max(1, Int((share * scale).rounded())) : 0 }
        return parts(of: total(ownShare), among: route.upstreams) + parts(of: total(oldShare), among: previous.upstreams)
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
