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
        guard let previous = route.previous else { return groups }
        groups += group("\(name)_new", route.upstreams.map { ($0, $0.weight) })
        guard isPinned(route) else { return groups }
        groups += group("\(name)_old", previous.upstreams.map { ($0, $0.weight) })
        return groups + """
                map $cookie_\(Self.versionCookie) $\(name)_by_cookie { default \(name); new \(name)_new; old \(name)_old; }
                map $http_x_slipway_version $\(name)_by_header { default $\(name)_by_cookie; new \(name)_new; old \(name)_old; }

            """
    }

    func servers(_ route: Route, name: String) -> String {
        // Who looks at the preview is not among those by whom a version is judged.
        let counted = """
                    set $slipway_route "\(route.key)";
                    access_log access.log slipway;
                    access_log \(TrafficLog.file) slipway_traffic;

            """
        let visitors = server(route.host, sends: isPinned(route) ? "$\(name)_by_header" : name, counted)
        guard let preview = route.preview else { return visitors }
        return visitors + server(preview, sends: route.previous == nil ? name : "\(name)_new")
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

    private func server(_ host: String, sends group: String, _ more: String = "") -> String {
        """
            server {
                listen \(listen);
                server_name \(host);
            \(more)\
                proxy_http_version 1.1;
                proxy_set_header Host $http_host;
                proxy_set_header Connection $slipway_connection;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header X-Real-IP $remote_addr;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                proxy_set_header X-Forwarded-Host $http_host;
                proxy_set_header X-Forwarded-Proto $slipway_proto;
                proxy_connect_timeout 3s;
                proxy_read_timeout 300s;
                proxy_send_timeout 300s;
                proxy_next_upstream error timeout;
                proxy_next_upstream_timeout 10s;
                location / {
                    error_page 418 = @handover;
                    if (-f \(Self.flagFile(table.generation))) { return 418; }
                    proxy_pass http://\(group);
                }
                location @handover {
                    keepalive_timeout 0;
                    proxy_pass http://\(group);
                }
            }

        """
    }
}
