import SystemPackage

/// Renders a route table as an nginx configuration; see nginx.org/en/docs for each directive.
///
/// Paths are relative to the router's folder, which is the working directory of nginx: so its workers, who are not
/// root, need no access to the folders above it.
///
/// When nginx replaces its workers it closes connections that are idle at that moment. A client that just then
/// sends its next request on such a connection would lose it. Therefore every generation has a flag file: while it
/// exists, answers carry `Connection: close`, so busy clients move to new connections before the old workers go.
struct NginxConfiguration {
    static func flagFile(_ generation: Int) -> String { "handover/\(generation)" }

    let folder: FilePath
    let settings: NginxSettings
    let table: RouteTable
    /// The account of the workers; nil when we are not root and they run as ourselves.
    let user: String?

    func render() -> String {
        let routes = table.routes.values.sorted { $0.key < $1.key }
        let groups = routes.enumerated().map { self.groups($0.element, name: "slipway_\($0.offset)") }
        return """
            # Written by slipway, generation \(table.generation). Changes made here are lost.
            \(user.map { "user \($0);" } ?? "# workers run as the server's account")
            daemon on;
            pid nginx.pid;
            error_log error.log warn;
            worker_processes \(max(1, settings.workers));
            worker_shutdown_timeout \(shutdownSeconds)s;
            worker_rlimit_nofile 16384;
            events { worker_connections 4096; }
            http {
                server_tokens off;
                uninitialized_variable_warn off;
                default_type application/octet-stream;
                # Otherwise the end of an upload waits 40 ms for an acknowledgement: its header goes out as a small packet of its own.
                sendfile on;
                log_format slipway '$time_iso8601 $remote_addr $host "$request" $status $body_bytes_sent '
                                   '$request_time $upstream_addr $upstream_status';
                access_log access.log slipway;
                log_format slipway_traffic '\(NginxTrafficLine.format(generation: table.generation))';
                client_body_temp_path temp/body;
                proxy_temp_path temp/proxy;
                fastcgi_temp_path temp/fastcgi;
                uwsgi_temp_path temp/uwsgi;
                scgi_temp_path temp/scgi;
                client_max_body_size \(max(0, settings.maxRequestBody));
                server_names_hash_bucket_size 512;
                map $http_upgrade $slipway_connection { default upgrade; "" ""; }
                map $http_x_forwarded_proto $slipway_proto { default \(
                    settings.trustForwarded ? "$http_x_forwarded_proto" : "$scheme"); "" $scheme; }
                geo $slipway_local { default 0; 127.0.0.0/8 1; ::1 1; \(settings.listenAddress) 1; }
            \(groups.joined())\
            \(secureDefaults)\
                server {
                    listen \(listen) default_server;
            \(secure.map { "        listen \($0) ssl default_server;\n        ssl_reject_handshake on;\n" } ?? "")\
                    server_name _;
                    set $slipway_route "";
                    default_type text/plain;
                    return 404 "no service answers for this host\\n";
                }
                server {
                    listen \(listen);
                    server_name \(GenerationPage.host);
                    access_log off;
                    keepalive_timeout 0;
                    default_type text/plain;
                    if ($slipway_local = 0) { return 404; }
                    add_header \(GenerationPage.header) "\(table.generation)";
                    return 200 "\(table.generation)\\n";
                }
            \(sites(routes))}

            """
    }

    var listen: String { Upstream(address: settings.listenAddress, port: settings.listenPort).endpoint }

    /// Where HTTPS is listened for.
    private var secure: String? { table.tls.map { Upstream(address: $0.address, port: $0.port).endpoint } }

    private var secureDefaults: String {
        table.tls == nil ? "" : "    ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_session_cache shared:slipway_tls:2m;\n"
    }

    /// What a host's server does for HTTPS. The path of a certificate would be relative to the configuration's folder.
    func security(of host: String) -> String {
        guard let tls = table.tls, let secure, let file = tls.file(for: host) else { return "" }
        let path = folder.appending(file).string
        return """
                    listen \(secure) ssl;
                    ssl_certificate "\(path)";
                    ssl_certificate_key "\(path)";
            \(tls.redirection(of: host).map { "        if ($scheme = http) { return 308 \($0)$request_uri; }\n" } ?? "")
            """
    }

    /// Workers keep the connections they have until the longest drain time of their generation is over.
    private var shutdownSeconds: Int {
        let longest = table.routes.values.compactMap(\.drainSeconds).max() ?? 0
        return max(1, Int(settings.workerShutdown.components.seconds), Int(longest.rounded(.up)))
    }
}
