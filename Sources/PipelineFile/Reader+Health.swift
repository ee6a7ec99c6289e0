internal import DeliveryModel
internal import Yams

extension Reader {
    private static let httpKeys = ["path", "status", "body", "headers"]

    /// - Parameter port: the service's.
    func health(_ node: Node, port: Int?) -> HealthCheck {
        var health = HealthCheck(port == nil ? .none : .http(.init()))
        guard let fields = fields(node, .health) else { return health }
        let http = Self.httpKeys.filter { fields[$0] != nil }
        let given = (http.isEmpty ? [] : [http[0]]) + ["tcp", "command"].filter { fields[$0] != nil }
        if given.count > 1 {
            report(
                fields.key(given[1]), "'\(given[0])' and '\(given[1])' are different probes, and an instance has one",
                "keep an HTTP request (path, status, body, headers), tcp or command")
        }
        if let node = fields["command"] {
            if let words = arguments(node, "command") {
                health.probe = .command(words)
                if words.first?.isEmpty ?? true { report(node, "the command has no program", "write [pg_isready, -q]") }
            }
        } else if let node = fields["tcp"] {
            if let port = tcpPort(node, of: port) { health.probe = .tcp(port: port) }
        } else if let key = http.first, port == nil {
            report(
                fields.key(key), "the service has no port that a request could go to",
                "add `port` to service, or write health: {command: [...]}")
        } else if !http.isEmpty {
            health.probe = .http(request(fields))
        }
        if let node = fields["interval"] { health.interval = duration(node, "interval", 0.05...3600) ?? health.interval }
        if let node = fields["timeout"] { health.timeout = duration(node, "timeout", 0.05...3600) ?? health.timeout }
        if let node = fields["healthy"] { health.healthy = integer(node, "healthy", 1...100) ?? health.healthy }
        if let node = fields["unhealthy"] { health.unhealthy = integer(node, "unhealthy", 1...100) ?? health.unhealthy }
        if let node = fields["grace"] { health.grace = duration(node, "grace", 1...86400) ?? health.grace }
        return health
    }

    /// `true` is the service's port.
    private func tcpPort(_ node: Node, of port: Int?) -> Int? {
        guard case .scalar(let scalar) = node, scalar.style == .plain, scalar.string == "true" else { return integer(node, "tcp", 1...65535) }
        if port == nil { report(node, "the service has no port", "add `port` to service, or write the port here: tcp: 5432") }
        return port
    }

    private func request(_ fields: Fields) -> HealthCheck.Request {
        var request = HealthCheck.Request()
        if let node = fields["path"], let path = text(node, "path") {
            if isPath(path) {
                request.path = path
            } else {
                report(node, "'\(path.prefix(80))' is not a URL path", "begin with '/', without spaces: /healthz")
            }
        }
        if let node = fields["status"] {
            let items: [Node]
            if case .sequence(let list) = node { items = Array(list) } else { items = [node] }
            request.status = items.compactMap { statuses($0) }
            if items.isEmpty { report(node, "'status' has no entry", "write 200, 200-299 or [200, 404]") }
        }
        if let node = fields["body"], let text = text(node, "body") {
            if text.utf8.count <= 1000 { request.body = text } else { report(node, "'body' is longer than 1000 bytes", "a few words will do") }
        }
        if let node = fields["headers"] { request.headers = headers(node) }
        return request
    }

    func isPath(_ path: String) -> Bool {
        path.hasPrefix("/") && path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } && path.utf8.count <= 1000
    }

    /// `200`, `200-299`.
    private func statuses(_ node: Node) -> ClosedRange<Int>? {
        guard let text = text(node, "status") else { return nil }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { $0.utf8.count == 3 ? Int($0) : nil }
        if ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last, first >= 100, last <= 599 {
            return first...last
        }
        report(node, "'\(text.prefix(40))' is not a status of HTTP", "write 200, 200-299 or [200, 404]")
        return nil
    }

    private func headers(_ node: Node) -> [String: String] {
        guard case .mapping(let pairs) = node else {
            report(node, "headers is a mapping, this is \(describe(node))", "write {Host: shop.example.com}")
            return [:]
        }
        var headers: [String: String] = [:]
        for (key, value) in pairs {
            guard let name = text(key, "the name of a header"), let text = text(value, "the header \(name.prefix(40))", allowEmpty: true) else {
                continue
            }
            // RFC 9110, 5.6.2 and 5.5.
            let isName = name.utf8.allSatisfy { byte in
                "!#$%&'*+-.^_`|~".utf8.contains(byte)
                    || byte < 0x80 && (Character(Unicode.Scalar(byte)).isLetter || Character(Unicode.Scalar(byte)).isNumber)
            }
            guard isName, name.utf8.count <= 100 else {
                report(key, "'\(name.prefix(40))' is not the name of a header", "write {Host: shop.example.com}")
                continue
            }
            guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }), text.utf8.count <= 1000 else {
                report(value, "the header \(name) has characters that cannot be sent, or too many", "use one line of text")
                continue
            }
            headers[name] = text
        }
        return headers
    }
}
