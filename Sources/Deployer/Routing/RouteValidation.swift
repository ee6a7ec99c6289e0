import Glibc

/// Nothing reaches a router's configuration that has not passed here.
enum RouteValidation {
    static func check(_ route: Route) throws(DeployerError) {
        try check(key: route.key)
        for host in [route.host] + (route.preview.map { [$0] } ?? []) where !isHostName(host) {
            throw DeployerError(
                .invalidValue, "\"\(printable(host))\" is not a host name",
                hint: "use lower case letters, digits, dashes and dots, such as shop.localhost")
        }
        guard route.preview != route.host else {
            throw DeployerError(
                .invalidValue, "\(route.host) cannot be the preview of \(route.key) and its host at once",
                hint: "give the preview another host name")
        }
        if let scope = route.scope { try check(scope, of: route) }
        if let seconds = route.drainSeconds, !(0...86_400).contains(seconds) {
            throw DeployerError(
                .invalidValue, "\(seconds) s is no time to drain \(route.key) for", hint: "name a time from 0 s to a day")
        }
        try check(route.upstreams, of: route.deployment, key: route.key)
        if let previous = route.previous { try check(previous, of: route) }
    }

    private static func check(_ scope: RouteScope, of route: Route) throws(DeployerError) {
        if let path = scope.paths.first(where: { !isPrefix($0) }) ?? (Set(scope.paths).count == scope.paths.count ? nil : scope.paths.first) {
            throw DeployerError(
                .invalidValue, "\"\(printable(path))\" cannot be a path of \(route.key), or is named twice",
                hint: "write /api or /shop/v2: letters, digits, '.', '_', '~', '-', no slash at the end")
        }
        guard !scope.paths.isEmpty || !scope.stripPrefix && scope.legacy == nil else {
            throw DeployerError(
                .invalidValue, "\(route.key) has no paths, so there is no prefix and no rest of the host", hint: "name its paths")
        }
        if let legacy = scope.legacy { try check([legacy], of: "legacy", key: route.key) }
    }

    /// One or more segments of unreserved characters (RFC 3986, 2.3), as long as a router's configuration can hold.
    static func isPrefix(_ path: String) -> Bool {
        guard path.hasPrefix("/"), path.utf8.count <= 200 else { return false }
        return path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).allSatisfy { segment in
            !segment.isEmpty && segment != "." && segment != ".." && isWord(segment.replacing("~", with: "-"))
        }
    }

    private static func check(_ previous: PreviousVersion, of route: Route) throws(DeployerError) {
        try check(previous.upstreams, of: previous.deployment, key: route.key)
        guard (1...1000).contains(previous.share) else {
            throw DeployerError(
                .invalidValue, "\(previous.share) thousandths of \(route.key) cannot go to the version before",
                hint: "its share is from 1 to 1000; without a share, leave the version out")
        }
        let own = Set(route.upstreams.map(\.endpoint))
        if let both = previous.upstreams.first(where: { own.contains($0.endpoint) }) {
            throw DeployerError(
                .invalidValue, "\(both.endpoint) cannot belong to both versions of \(route.key)",
                hint: "an instance answers for one deployment")
        }
    }

    private static func check(_ upstreams: [Upstream], of deployment: String, key: String) throws(DeployerError) {
        guard isWord(deployment), deployment.utf8.count <= 100 else {
            throw DeployerError(
                .invalidValue, "\"\(printable(deployment))\" is not the id of a deployment",
                hint: "ids are made of letters, digits, dots, dashes and underscores")
        }
        guard !upstreams.isEmpty else {
            throw DeployerError(
                .invalidValue, "the route \(key) has no instances", hint: "start instances first, or remove the route")
        }
        guard Set(upstreams.map(\.endpoint)).count == upstreams.count else {
            throw DeployerError(
                .invalidValue, "an instance of \(key) is named twice", hint: "name each address and port once")
        }
        for upstream in upstreams {
            guard isAddress(upstream.address), (1...65535).contains(upstream.port),
                (1...1000).contains(upstream.weight)
            else {
                throw DeployerError(
                    .invalidValue,
                    "\(printable(upstream.address)) port \(upstream.port) weight \(upstream.weight) cannot be routed to",
                    hint: "an instance needs an IP address, a port from 1 to 65535 and a weight from 1 to 1000")
            }
        }
    }

    static func check(key: String) throws(DeployerError) {
        let good = isWord(key.replacing("/", with: "."))
        guard good, (1...200).contains(key.utf8.count) else {
            throw DeployerError(
                .invalidValue, "\"\(printable(key))\" is not a route key", hint: "keys look like project/pipeline/stage")
        }
    }

    /// ASCII letters, digits, dots, dashes, underscores.
    private static func isWord(_ text: some StringProtocol) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "._-".utf8.contains(byte)
            }
        }
    }

    /// RFC 1123 host name, in lower case.
    static func isHostName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        return text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy { byte in
                    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
                }
        }
    }

    /// IPv4 or IPv6 address as inet_pton(3) reads it, without a zone.
    static func isAddress(_ text: String) -> Bool {
        guard !text.utf8.contains(0) else { return false }
        var v4 = in_addr()
        var v6 = in6_addr()
        return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1
    }

    /// A short form without control characters, for messages.
    static func printable(_ text: String) -> String {
        String(text.unicodeScalars.prefix(80).map { $0.value < 32 || $0.value == 127 ? "?" : Character($0) })
    }
}
