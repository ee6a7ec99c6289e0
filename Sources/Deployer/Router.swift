/// What sends the requests for a host name to instances.
public protocol Router: Sendable {
    /// Makes sure that the routes of last time are served; nothing happens when they are.
    func start() async throws
    /// Makes the route the one in force. Nothing is reloaded when it already is.
    /// - Returns: the generation that contains it; ask ``confirm(_:)`` whether it is the only one that takes requests.
    func apply(_ route: Route) async throws -> RouterGeneration
    /// As ``apply(_:)``, but only when no other deployment owns the key by now; nil when one does.
    func refresh(_ route: Route) async throws -> RouterGeneration?
    /// Returns when every new connection is answered by this generation or a later one; throws when that takes too long.
    func confirm(_ generation: RouterGeneration) async throws
    /// Whether all requests taken by generations before this one have ended.
    func drained(before generation: RouterGeneration) async throws -> Bool
    /// Takes a route away; nothing happens when there is none.
    func remove(key: String) async throws
    /// The route in force.
    func currentRoute(key: String) async throws -> Route?
    /// All routes in force.
    func routes() async throws -> [Route]
}

extension Router {
    public func start() async throws {}

    /// The upstreams in force, none when there is no such route.
    public func currentUpstreams(key: String) async throws -> [Upstream] {
        try await currentRoute(key: key)?.upstreams ?? []
    }
}

/// The requests for one host name, and the instances that answer them.
public struct Route: Codable, Hashable, Sendable {
    /// See ``RolloutOrder/routeKey``.
    public var key: String
    /// DNS name in lower case, without port.
    public var host: String
    public var upstreams: [Upstream]
    /// The deployment the upstreams belong to.
    public var deployment: String

    public init(key: String, host: String, upstreams: [Upstream], deployment: String = "") {
        self.key = key
        self.host = host
        self.upstreams = upstreams
        self.deployment = deployment
    }
}

/// One instance as the router sees it.
public struct Upstream: Codable, Hashable, Sendable {
    /// IPv4 or IPv6 address, never a name.
    public var address: String
    public var port: Int
    /// Share of the requests, 1…1000.
    public var weight: Int

    public init(address: String, port: Int, weight: Int = 1) {
        self.address = address
        self.port = port
        self.weight = weight
    }
}

/// Counts the changes of a router's configuration; a later one contains all earlier ones.
public struct RouterGeneration: Codable, Hashable, Sendable, Comparable, CustomStringConvertible {
    public let number: Int

    public init(_ number: Int) { self.number = number }

    public static func < (left: RouterGeneration, right: RouterGeneration) -> Bool { left.number < right.number }

    public var description: String { "generation \(number)" }
}
