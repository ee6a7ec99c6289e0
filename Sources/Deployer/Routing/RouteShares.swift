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

    private static func reduced(_ weights: [(upstream: Upstream, weight: Int)]) -> [(upstream: Upstream, weight: Int)] {
        let divisor = weights.reduce(0) { greatestCommonDivisor($0, $1.weight) }
        return weights.filter { $0.weight > 0 }.map { ($0.upstream, $0.weight / max(1, divisor)) }
    }

    private static func greatestCommonDivisor(_ left: Int, _ right: Int) -> Int {
        right == 0 ? left : greatestCommonDivisor(right, left % right)
    }
}
