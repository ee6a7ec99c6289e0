/// Renders a route table as an haproxy configuration; see docs.haproxy.org/2.6/configuration.html for each keyword.
///
/// One backend of a route has the instances of all versions, with weights: its round robin is one for all threads. Backends of
/// the one and the other version serve pinned clients and the preview; their servers are up when those of the first are. What changes without
/// a reload (weights, the generation) is told over `admin.sock`.
struct HAProxyConfiguration {
    /// Holds the generation, and whether answers ask clients to open a new connection: while they do, busy clients move before
    /// the old worker goes, which closes connections that are idle at that moment.
    static let state = "state.map"
    static let mostWeight = 256

    let settings: RouterSettings
    let table: RouteTable
    /// The account of the workers; nil when we are not root and they run as ourselves.
    let account: (user: String, group: String)?

    func render() -> String {
        """
        # Written by slipway, generation \(table.generation). Changes made here are lost.
        \(text(weights: true))
        """
    }

    /// What cannot be changed in a running worker.
    var structure: String { text(weights: false) }

    /// The weights of all servers, by `backend/server`.
    var weights: [(server: String, weight: Int)] {
        named.flatMap { name, route in
            RouteShares.weights(route, most: Self.mostWeight).map { ("\(name)/\(server($0.upstream, route))", $0.weight) }
        }
    }

    private var named: [(name: String, route: Route)] {
        table.routes.values.sorted { $0.key < $1.key }.enumerated().map { ("slipway_\($0.offset)", $0.element) }
    }

    private func text(weights: Bool) -> String {
        """
        global
            log stdout len 8192 format raw local0
            stats socket unix@admin.sock mode 600 level admin expose-fd listeners
            hard-stop-after \(shutdownSeconds)s
            nbthread \(max(1, settings.workers))
            fd-hard-limit 20000
            noreuseport
        \(account.map { "    user \($0.user)\n    group \($0.group)\n" } ?? "")\
        defaults
            mode http
            log global
            timeout connect 3s
            timeout client 300s
            timeout server 300s
            timeout tunnel 300s
            timeout http-keep-alive 75s
            timeout http-request 60s
            # An instance that closes a kept connection first would cost a POST.
            option http-server-close
            option abortonclose
            option redispatch 1
            retries 3
            retry-on conn-failure empty-response
        frontend slipway
            bind \(Upstream(address: settings.listenAddress, port: settings.listenPort).endpoint)
        \(secureBind)\
            log-format "\(HAProxyTrafficLine.format)"
            option forwardfor
            http-request set-var(txn.slipway_host) req.hdr(host),field(1,:),lower
            http-request set-var(txn.slipway_generation) str(generation),map(\(Self.state))
            acl is_generation var(txn.slipway_host) -m str \(GenerationPage.host)
            acl is_local src 127.0.0.0/8 ::1 \(settings.listenAddress)
            acl header_new req.hdr(X-Slipway-Version) -m str -i new
            acl header_old req.hdr(X-Slipway-Version) -m str -i old
            acl cookie_new req.cook(slipway_version) -m str -i new
            acl cookie_old req.cook(slipway_version) -m str -i old
            http-request set-log-level silent if is_generation
            http-request return status 200 content-type text/plain hdr \(GenerationPage.header) "\(lookUp("generation"))" \
        lf-string "\(lookUp("generation"))\\n" if is_generation is_local
            http-request deny deny_status 413 if { req.hdr_val(content-length) gt \(settings.maxRequestBody) }
            http-request disable-l7-retry if { method POST LOCK PATCH }
            http-request set-header X-Real-IP %[src]
            http-request set-header X-Forwarded-Host %[req.hdr(host)]
            http-request set-header X-Forwarded-Proto http\(settings.trustForwarded ? " unless { req.hdr(X-Forwarded-Proto) -m found }" : "")
        \(secureRules)\
            http-after-response set-header Connection close if { str(handover),map(\(Self.state)) -m str 1 }
            http-request del-header X-Forwarded-Prefix
        \(claimed.map(choosing).joined())\
        \(claimed.map(rewriting).joined())\
        \(claimed.map(rules).joined())\
            default_backend slipway_none
        backend slipway_none
            http-request return status 404 content-type text/plain string "no service answers for this host and path\\n"
        \(named.map { backends($0.name, $0.route, weights: weights) }.joined())
        """
    }

    /// Only who asks for a name that has a certificate gets an answer.
    private var secureBind: String {
        guard let tls = table.tls else { return "" }
        let certificates = tls.names.isEmpty ? "" : " crt \(tls.folder)"
        return "    bind \(Upstream(address: tls.address, port: tls.port).endpoint) ssl\(certificates) strict-sni ssl-min-ver TLSv1.2 alpn http/1.1\n"
    }

    private var secureRules: String {
        guard let tls = table.tls else { return "" }
        let redirects = Set(named.flatMap { $0.route.claims.map(\.host) }).sorted().compactMap { host in
            tls.redirection(of: host).map {
                "    http-request redirect location \($0)%[pathq] code 308 if !{ ssl_fc } { var(txn.slipway_host) -m str \(host) }\n"
            }
        }
        return "    http-request set-header X-Forwarded-Proto https if { ssl_fc }\n" + redirects.joined()
    }

    private func lookUp(_ key: String) -> String { "%[str(\(key)),map(\(Self.state))]" }

    private func isPinned(_ route: Route) -> Bool { route.pins == true && (route.previous?.share ?? 1000) < 1000 }

    /// What the routes answer for, longest paths last.
    private var claimed: [Claimed] {
        named.flatMap { name, route in route.claims.map { ($0, name, route) } }
            .sorted { ($0.0.path.utf8.count, $0.0.place, $0.1) < ($1.0.path.utf8.count, $1.0.place, $1.1) }
            .enumerated().map { Claimed(number: $0.offset, claim: $0.element.0, name: $0.element.1, route: $0.element.2) }
    }

    private struct Claimed {
        var number: Int
        var claim: RouteClaim
        var name: String
        var route: Route
        /// Whether the request is one of these.
        var isIt: String { "{ var(txn.slipway_claim) -m str \(number) }" }
    }

    /// The last one that matches is the one with the longest path.
    private func choosing(_ claimed: Claimed) -> String {
        let host = "{ var(txn.slipway_host) -m str \(claimed.claim.host) }"
        let path = claimed.claim.path
        let condition = claimed.claim.isWholeHost ? host : "\(host) { path \(path) } or \(host) { path_beg \(path)/ }"
        return "    http-request set-var(txn.slipway_claim) str(\(claimed.number)) if \(condition)\n"
    }

    /// Of all routes before the ``rules(_:)`` of any: haproxy warns of a request rule after a `use_backend`.
    private func rewriting(_ claimed: Claimed) -> String {
        var rules: [String] = []
        // Who looks at the preview is not among those by whom a version is judged; nor does a legacy application have one.
        if claimed.claim.answer == .visitors { rules.append("set-var(txn.slipway_route) str(\(claimed.route.key))") }
        if claimed.route.isStripped, claimed.claim.answer != .legacy {
            let pattern = claimed.claim.path.replacing(".", with: "\\.")
            rules.append("set-header X-Forwarded-Prefix \(claimed.claim.path)")
            rules.append("replace-path '^\(pattern)/*(.*)$' '/\\1'")
        }
        return rules.map { "    http-request \($0) if \(claimed.isIt)\n" }.joined()
    }

    private func rules(_ claimed: Claimed) -> String {
        let (name, route) = (claimed.name, claimed.route)
        switch claimed.claim.answer {
        case .legacy: return "    use_backend \(name)_legacy if \(claimed.isIt)\n"
        case .preview: return "    use_backend \(name)\(route.previous == nil ? "" : "_new") if \(claimed.isIt)\n"
        case .visitors:
            var rules: [String] = []
            for place in isPinned(route) ? ["header", "cookie"] : [] {
                for version in ["new", "old"] { rules.append("\(name)_\(version) if \(claimed.isIt) \(place)_\(version)") }
            }
            rules.append("\(name) if \(claimed.isIt)")
            return rules.map { "    use_backend \($0)\n" }.joined()
        }
    }

    private func backends(_ name: String, _ route: Route, weights: Bool) -> String {
        // Like nginx's max_fails and fail_timeout; who is down is asked, by opening a connection, when it is back.
        let checks = "check inter 2s downinter 500ms fall 2 rise 1 observe layer4 error-limit 2 on-error mark-down"
        let all = RouteShares.weights(route, most: Self.mostWeight).map { upstream, weight in
            line(upstream, route, weight: weights ? weight : 1, checks)
        }
        var text = backend(name, all)
        if let legacy = route.scope?.legacy {
            text += backend("\(name)_legacy", ["    server legacy \(legacy.endpoint)\n"])
        }
        guard let previous = route.previous else { return text }
        func version(_ suffix: String, _ upstreams: [Upstream]) -> String {
            let equal = Route(key: route.key, host: route.host, upstreams: upstreams)
            return backend(
                "\(name)_\(suffix)",
                RouteShares.weights(equal, most: Self.mostWeight).map { upstream, weight in
                    line(upstream, route, weight: weight, "track \(name)/\(server(upstream, route))")
                })
        }
        text += version("new", route.upstreams)
        if isPinned(route) { text += version("old", previous.upstreams) }
        return text
    }

    private func backend(_ name: String, _ servers: [String]) -> String {
        "backend \(name)\n    balance roundrobin\n" + servers.joined()
    }

    private func line(_ upstream: Upstream, _ route: Route, weight: Int, _ options: String) -> String {
        "    server \(server(upstream, route)) \(upstream.endpoint) weight \(weight) \(options)\n"
    }

    /// Names the deployment, so the log does.
    private func server(_ upstream: Upstream, _ route: Route) -> String {
        let isOwn = route.upstreams.contains { $0.endpoint == upstream.endpoint }
        return "\(isOwn ? route.deployment : route.previous?.deployment ?? "")_\(upstream.address)_\(upstream.port)"
    }

    /// A replaced worker keeps the connections it has until the longest drain time of its generation is over.
    private var shutdownSeconds: Int {
        let longest = table.routes.values.compactMap(\.drainSeconds).max() ?? 0
        return max(1, Int(settings.workerShutdown.components.seconds), Int(longest.rounded(.up)))
    }
}
