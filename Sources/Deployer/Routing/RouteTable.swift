import FoundationEssentials
import SystemPackage

/// All routes and the generation they are, as kept in `routes.json`.
struct RouteTable: Codable, Hashable {
    var version = 1
    var generation = 0
    var routes: [String: Route] = [:]
    /// By route: the highest that wrote it. Stays when the route goes.
    var fences: [String: RouteFence] = [:]
    /// For recent generations: the worker processes they took over from.
    var replaced: [Int: [Int32]] = [:]
    /// By route: whose the instances were, oldest first.
    var history: [String: [RouteInstances]] = [:]

    var tls: TLSTable?

    init() {}

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        version = try values.decode(Int.self, forKey: .version)
        generation = try values.decode(Int.self, forKey: .generation)
        routes = try values.decode([String: Route].self, forKey: .routes)
        fences = try values.decodeIfPresent([String: RouteFence].self, forKey: .fences) ?? [:]
        replaced = try values.decode([Int: [Int32]].self, forKey: .replaced)
        history = try values.decodeIfPresent([String: [RouteInstances]].self, forKey: .history) ?? [:]
        tls = try values.decodeIfPresent(TLSTable.self, forKey: .tls)
        for (key, route) in routes where history[key] == nil { history[key] = [RouteInstances(of: route, since: 0)] }
    }

    static func load(_ path: FilePath) throws -> RouteTable {
        do {
            guard let bytes = try AtomicFile.read(path) else { return RouteTable() }
            return try JSONDecoder().decode(RouteTable.self, from: Data(bytes))
        } catch {
            throw DeployerError(
                .stateUnusable, "the routes in \(path) cannot be read: \(error)",
                hint: "move the file away; the next deployment of each stage writes its route again")
        }
    }

    func save(_ path: FilePath) throws {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            try AtomicFile.write(Array(try encoder.encode(self)), to: path)
        } catch {
            throw DeployerError(
                .stateUnusable, "the routes cannot be written to \(path): \(error)",
                hint: "check free space and permissions of the folder")
        }
    }

    /// The table after setting a route; the routes stay as they are when nothing changes.
    func setting(_ route: Route, by fence: RouteFence) throws(DeployerError) -> RouteTable {
        try fencing(route.key, by: fence).setting(route)
    }

    func fencing(_ key: String, by fence: RouteFence) throws(DeployerError) -> RouteTable {
        if let last = fences[key], fence < last {
            throw DeployerError(
                .staleHolder,
                "the route \(key) belongs to deployment \(last.deployment), epoch \(last.epoch): "
                    + "deployment \(fence.deployment), epoch \(fence.epoch), may not write it any more",
                hint: "another server or a later deployment took over; nothing needs to be done")
        }
        var next = self
        next.fences[key] = fence
        return next
    }

    func setting(_ route: Route) throws(DeployerError) -> RouteTable {
        try RouteValidation.check(route)
        if routes[route.key] == route { return self }
        let places = Set(route.claims.map(\.place))
        for other in routes.values.sorted(by: { $0.key < $1.key }) where other.key != route.key {
            guard let taken = other.claims.first(where: { places.contains($0.place) }) else { continue }
            let what = taken.isWholeHost ? "\(taken.host), but for paths that others name," : taken.place
            throw DeployerError(
                .hostTaken, "\(what) already belongs to \(other.key)\(taken.answer == .legacy ? ", by its 'legacy'" : "") (project/pipeline/stage)",
                hint: "give one of the two stages another host, or other paths of it")
        }
        var next = self
        next.routes[route.key] = route
        next.generation += 1
        let instances = RouteInstances(of: route, since: next.generation)
        if history[route.key]?.last?.deployments != instances.deployments {
            next.history[route.key] = (history[route.key, default: []] + [instances]).suffix(RouteInstances.kept)
        }
        return next
    }

    /// With other certificates; the routes stay.
    func securing(_ tls: TLSTable?) -> RouteTable {
        guard self.tls != tls else { return self }
        var next = self
        next.tls = tls
        next.generation += 1
        return next
    }

    func removing(key: String) -> RouteTable {
        guard routes[key] != nil else { return self }
        var next = self
        next.routes[key] = nil
        next.history[key] = nil
        next.generation += 1
        return next
    }

    func forgetting(deployment: String) -> RouteTable {
        var next = self
        for route in routes.values where route.deployment == deployment { next = next.removing(key: route.key) }
        next.fences = next.fences.filter { $0.value.deployment != deployment }
        return next
    }
}

/// Whose the instances of a route are from a generation on.
struct RouteInstances: Codable, Hashable {
    /// How many of them are remembered for a route.
    static let kept = 32

    var since: Int
    /// By ``Upstream/endpoint``.
    var deployments: [String: String]

    init(of route: Route, since: Int) {
        self.since = since
        deployments = [:]
        for upstream in route.previous?.upstreams ?? [] { deployments[upstream.endpoint] = route.previous?.deployment }
        for upstream in route.upstreams { deployments[upstream.endpoint] = route.deployment }
    }
}
