/// What nginx is told about one route.
///
/// All weights of a route are in one upstream with a `zone`: its round robin is smooth and shared by the workers, so the split
/// between two versions is exact to a request or two from the start of a generation on, also with one instance of each. Groups of
/// the one and the other version serve pinned clients and the preview.
extension NginxConfiguration {
    /// The request header by which clients choose a version; ``versionCookie`` says the same.
    static let versionHeader = "X-Slipway-Version"
    static let versionCookie = "slipway_version"

    func groups(_ route: Route, name: String) -> String {
        var groups = group(name, RouteShares.weights(route))
        if let legacy = route.scope?.legacy { groups += group("\(name)_legacy", [(legacy, 1)]) }
        guard let previous = route.previous else { return groups }
        groups += group("\(name)_new", route.upstreams.map { ($0, $0.weight) })
        guard isPinned(route) else { return groups }
        groups += group("\(name)_old", previous.upstreams.map { ($0, $0.weight) })
        return groups + """
                map $cookie_\(Self.versionCookie) $\(name)_by_cookie { default \(name); new \(name)_new; old \(name)_old; }
                map $http_x_slipway_version $\(name)_by_header { default $\(name)_by_cookie; new \(name)_new; old \(name)_old; }

            """
    }

    /// One server for each host, with a location for each path that a route answers for.
    func sites(_ routes: [Route]) -> String {
        var sites: [String: [Site]] = [:]
        for (offset, route) in routes.enumerated() {
            for claim in route.claims { sites[claim.host, default: []].append(Site(claim: claim, route: route, name: "slipway_\(offset)")) }
        }
        return sites.sorted { $0.key < $1.key }.map { host, all in
            let locations = all.sorted { $0.claim.path < $1.claim.path }.enumerated().map { location($0.element, number: $0.offset) }
            let isWhole = all.contains { $0.claim.isWholeHost }
            let rest = """
                        location / {
                            default_type text/plain;
                            return 404 "no service answers for this path\\n";
                        }

                """
            return server(host, locations.joined() + (isWhole ? "" : rest))
        }.joined()
    }

    private struct Site {
        var claim: RouteClaim
        var route: Route
        var name: String
    }

    private func location(_ site: Site, number: Int) -> String {
        let (route, claim) = (site.route, site.claim)
        var body = ""
        let group: String
        switch claim.answer {
        case .visitors:
            group = isPinned(route) ? "$\(site.name)_by_header" : site.name
            body = """
                            set $slipway_route "\(route.key)";
                            access_log access.log slipway;
                            access_log \(TrafficLog.file) slipway_traffic;

                """
        // Who looks at the preview is not among those by whom a version is judged; nor does a legacy application have one.
        case .preview: group = route.previous == nil ? site.name : "\(site.name)_new"
        case .legacy: group = "\(site.name)_legacy"
        }
        if route.isStripped, claim.answer != .legacy {
            let pattern = claim.path.replacing(".", with: "\\.")
            body += """
                            set $slipway_prefix "\(claim.path)";
                            rewrite ^\(pattern)/*(.*)$ /$1 break;

                """
        }
        let pass = body + "            proxy_pass http://\(group);\n"
        let heads = claim.isWholeHost ? ["/"] : ["= \(claim.path)", "\(claim.path)/"]
        return heads.map { head in
            """
                    location \(head) {
                        error_page 418 = @handover_\(number);
                        if (-f \(Self.flagFile(table.generation))) { return 418; }
            \(pass)\
                    }

            """
        }.joined() + """
                    location @handover_\(number) {
                        keepalive_timeout 0;
            \(pass)\
                    }

            """
    }

    private func isPinned(_ route: Route) -> Bool {
        guard let previous = route.previous else { return false }
        return route.pins == true && previous.share < 1000
    }

    private func group(_ name: String, _ members: [(upstream: Upstream, weight: Int)]) -> String {
        let servers = members.map { upstream, weight in
            "        server \(upstream.endpoint) weight=\(weight) max_fails=2 fail_timeout=2s;\n"
        }
        // Kept connections are short-lived: an instance that closes an idle one first would cost a POST.
        return """
                upstream \(name) {
                    zone \(name) \(64 + members.count)k;
            \(servers.joined())\
                    keepalive 32;
                    keepalive_timeout 1s;
                }

            """
    }

    private func server(_ host: String, _ locations: String) -> String {
        """
            server {
                listen \(listen);
                server_name \(host);
        \(security(of: host))\
                proxy_http_version 1.1;
                proxy_set_header Host $http_host;
                proxy_set_header Connection $slipway_connection;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header X-Real-IP $remote_addr;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                proxy_set_header X-Forwarded-Host $http_host;
                proxy_set_header X-Forwarded-Proto $slipway_proto;
                proxy_set_header X-Forwarded-Prefix $slipway_prefix;
                proxy_connect_timeout 3s;
                proxy_read_timeout 300s;
                proxy_send_timeout 300s;
                proxy_next_upstream error timeout;
                proxy_next_upstream_timeout 10s;
                set $slipway_prefix "";
        \(locations)\
            }

        """
    }
}
