public import DeliveryModel

/// What sends the requests for a host name to instances.
public protocol Router: Sendable {
    /// Makes sure that the routes of last time are served; nothing happens when they are.
    func start() async throws
    /// From now on whoever ranks below `fence` cannot write the route any more: they get `.staleHolder`.
    func fence(_ key: String, by fence: RouteFence) async throws
    /// Makes the route the one in force. Nothing is reloaded when it already is.
    /// - Returns: the generation that contains it; ask ``confirm(_:)`` whether it is the only one that takes requests.
    func apply(_ route: Route, by fence: RouteFence) async throws -> RouterGeneration
    /// As ``apply(_:by:)``, but only when no other deployment owns the key by now; nil when one does.
    func refresh(_ route: Route, by fence: RouteFence) async throws -> RouterGeneration?
    /// Puts a route of the same deployment in the place of the one that was seen; nil when that is not in force any more.
    func replace(_ seen: Route?, with route: Route) async throws -> RouterGeneration?
    /// Returns when every new connection is answered by this generation or a later one; throws when that takes too long.
    func confirm(_ generation: RouterGeneration) async throws
    /// Whether all requests taken by generations before this one have ended.
    func drained(before generation: RouterGeneration) async throws -> Bool
    /// Takes a route away; nothing happens when there is none.
    func remove(key: String, by fence: RouteFence) async throws
    /// Takes away the routes of a deployment that nobody knows any more, and its fences.
    func forget(deployment: String) async throws
    /// The deployments that own routes or have fenced them.
    func deployments() async throws -> Set<String>
    /// The route in force.
    func currentRoute(key: String) async throws -> Route?
    /// All routes in force.
    func routes() async throws -> [Route]
    /// The place in the router's log from which to count; also of use to another server, and after a restart.
    func trafficMark() async throws -> TrafficMark
    /// What the versions of a route answered since a mark, by the router's own log; its previews do not count.
    ///
    /// Each attempt counts for the instance that was tried, so a request that was tried again elsewhere counts for both. Latency is
    /// the time to the beginning of the answer. Clients that went away are no errors; how long they had waited is counted.
    /// - Returns: the versions in force, then those before them that answered too. What a router has logged before its last log but
    ///   one began is not counted.
    func traffic(key: String, since mark: TrafficMark) async throws -> [VersionTraffic]
    /// Puts certificates for HTTPS in force that are new, or not there any more; to be called now and then.
    ///
    /// - Returns: what is wrong with some of them, in sentences; what was in force for these stays.
    func renewCertificates() async throws -> [String]
    /// Begins new logs where they are large; to be called now and then.
    func rotateLogs() async throws
}

extension Router {
    public func start() async throws {}
    public func trafficMark() async throws -> TrafficMark { TrafficMark(log: 0, offset: 0) }
    public func traffic(key: String, since mark: TrafficMark) async throws -> [VersionTraffic] { [] }
    public func rotateLogs() async throws {}
    public func renewCertificates() async throws -> [String] { [] }
}

/// A place in a router's log.
public struct TrafficMark: Codable, Hashable, Sendable {
    /// Counts the logs of the router.
    public var log: Int
    /// Bytes from the beginning of that log.
    public var offset: Int64

    public init(log: Int, offset: Int64) {
        self.log = log
        self.offset = offset
    }
}

/// Who writes a route. A later deployment of the stage outranks an earlier one, and whoever took a deployment over outranks those
/// who held it before: a server that was frozen meanwhile can change nothing when it wakes up.
public struct RouteFence: Codable, Hashable, Sendable, Comparable {
    /// Id of the deployment.
    public var deployment: String
    /// See ``RolloutOrder/number`` and ``RolloutOrder/epoch``.
    public var number: Int64
    public var epoch: Int64

    public init(deployment: String, number: Int64, epoch: Int64) {
        self.deployment = deployment
        self.number = number
        self.epoch = epoch
    }

    public static func < (left: RouteFence, right: RouteFence) -> Bool { (left.number, left.epoch) < (right.number, right.epoch) }
}

/// The requests for one host name, or for some of its paths, and the instances that answer them.
public struct Route: Codable, Hashable, Sendable {
    /// See ``RolloutOrder/routeKey``.
    public var key: String
    /// DNS name in lower case, without port.
    public var host: String
    /// Nil: every path of the host.
    public var scope: RouteScope?
    public var upstreams: [Upstream]
    /// The deployment the upstreams belong to.
    public var deployment: String
    /// The version that is being replaced, while it still takes a share of the requests.
    public var previous: PreviousVersion?
    /// A host name that reaches only `upstreams`, whatever their share is.
    public var preview: String?
    /// Whether clients choose a version by header or cookie while there are two. Nobody chooses one without a share.
    public var pins: Bool?
    /// For how long connections of a generation that was replaced may live; nil: as the router's settings say. What counts is the
    /// longest of all routes.
    public var drainSeconds: Double?

    public init(
        key: String, host: String, scope: RouteScope? = nil, upstreams: [Upstream], deployment: String = "", previous: PreviousVersion? = nil,
        preview: String? = nil, pins: Bool? = nil, drainSeconds: Double? = nil
    ) {
        self.key = key
        self.host = host
        self.scope = scope
        self.upstreams = upstreams
        self.deployment = deployment
        self.previous = previous
        self.preview = preview
        self.pins = pins
        self.drainSeconds = drainSeconds
    }
}

/// The instances that answer beside those of a route's own deployment.
public struct PreviousVersion: Codable, Hashable, Sendable {
    public var deployment: String
    public var upstreams: [Upstream]
    /// Its part of the requests in thousandths, 1…1000. The route's own deployment gets the rest.
    public var share: Int

    public init(deployment: String, upstreams: [Upstream], share: Int) {
        self.deployment = deployment
        self.upstreams = upstreams
        self.share = share
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

    /// `10.0.0.1:80`, `[fd00::1]:80`.
    var endpoint: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }
}

/// Counts the changes of a router's configuration; a later one contains all earlier ones.
public struct RouterGeneration: Codable, Hashable, Sendable, Comparable, CustomStringConvertible {
    public let number: Int

    public init(_ number: Int) { self.number = number }

    public static func < (left: RouterGeneration, right: RouterGeneration) -> Bool { left.number < right.number }

    public var description: String { "generation \(number)" }
}
