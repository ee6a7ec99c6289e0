/// The part of a host's paths that a route answers for, and who answers for the rest.
public struct RouteScope: Codable, Hashable, Sendable {
    /// Prefixes, without a slash at their end: `/api` stands for itself and for what begins with `/api/`. None: every path.
    public var paths: [String]
    /// Whether instances get the path without its prefix; they find that in `X-Forwarded-Prefix`.
    public var stripPrefix: Bool
    /// Where the paths of the host go that no route answers for; it is spoken to by HTTP.
    public var legacy: Upstream?

    public init(paths: [String] = [], stripPrefix: Bool = false, legacy: Upstream? = nil) {
        self.paths = paths
        self.stripPrefix = stripPrefix
        self.legacy = legacy
    }

    static let everything = RouteScope()
}

/// A host and a path of it that one route answers for. Of those that match a request, the longest path counts.
struct RouteClaim: Hashable {
    enum Answer { case visitors, preview, legacy }

    var host: String
    /// `/`, or a prefix as in ``RouteScope/paths``.
    var path: String
    var answer: Answer

    var isWholeHost: Bool { path == "/" }
    /// `shop.localhost/api`.
    var place: String { isWholeHost ? host : host + path }
}

extension Route {
    var claims: [RouteClaim] {
        let paths = scope.map { $0.paths.isEmpty ? ["/"] : $0.paths } ?? ["/"]
        return ([(host, .visitors)] + (preview.map { [($0, .preview)] } ?? [])).flatMap { (host: String, answer: RouteClaim.Answer) in
            paths.map { RouteClaim(host: host, path: $0, answer: answer) }
                + (scope?.legacy == nil ? [] : [RouteClaim(host: host, path: "/", answer: .legacy)])
        }
    }

    var isStripped: Bool { scope?.stripPrefix == true }
}
