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
            log-format "\(HAProxyTrafficLine.format)"
            option forwardfor
            http-request set-var(txn.slipway_host) req.hdr(host),field(1,:),lower
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
            http-after-response set-header Connection close if { str(handover),map(\(Self.state)) -m str 1 }
        \(named.map(naming).joined())\
        \(named.map(rules).joined())\
            default_backend slipway_none
        backend slipway_none
            http-request return status 404 content-type text/plain string "no service answers for this host\\n"
        \(named.map { backends($0.name, $0.route, weights: weights) }.joined())
        """
    }

    private func lookUp(_ key: String) -> String { "%[str(\(key)),map(\(Self.state))]" }

    private func isPinned(_ route: Route) -> Bool { route.pins == true && (route.previous?.share ?? 1000) < 1000 }

    /// Of all routes before the ``rules(_:_:)`` of any: haproxy warns of a request rule after a `use_backend`.
    private func naming(_ name: String, _ route: Route) -> String {
        """
            acl \(name)_host var(txn.slipway_host) -m str \(route.host)
            http-request set-var(txn.slipway_route) str(\(route.key)) if \(name)_host

        """
    }

    private func rules(_ name: String, _ route: Route) -> String {
        var rules: [String] = []
        if isPinned(route) {
            for place in ["header", "cookie"] {
                for version in ["new", "old"] {
                    rules.append("use_backend \(name)_\(version) if \(name)_host \(place)_\(version)")
                }
            }
        }
        rules.append("use_backend \(name) if \(name)_host")
        if let preview = route.preview {
            // Not among those by whom a version is judged.
            rules.append(
                "use_backend \(name)\(route.previous == nil ? "" : "_new") if { var(txn.slipway_host) -m str \(preview) }")
        }
        return rules.map { "    \($0)\n" }.joined()
    }

    private func backends(_ name: String, _ route: Route, weights: Bool) -> String {
        // Like nginx's max_fails and fail_timeout; who is down is asked, by opening a connection, when it is back.
        let checks = "check inter 2s downinter 500ms fall 2 rise 1 observe layer4 error-limit 2 on-error mark-down"
        let all = RouteShares.weights(route, most: Self.mostWeight).map { upstream, weight in
            line(upstream, route, weight: weights ? weight : 1, checks)
        }
        var text = backend(name, all)
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
