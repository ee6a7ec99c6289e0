/// When an instance counts as healthy, and when it does not any more. Times are in seconds.
public struct HealthCheck: Hashable, Sendable {
    /// What an instance is asked.
    public enum Probe: Hashable, Sendable {
        case http(Request)
        /// A connection to this port of its container is accepted.
        case tcp(port: Int)
        /// A program and its arguments, run beside it in its container, end with exit code 0.
        case command([String])
        /// Nothing: it is healthy while it runs.
        case none
    }

    /// A GET request to the service's port, and the answer that is expected.
    public struct Request: Hashable, Sendable {
        public static let usualStatus = [200...399]

        public var path: String
        public var status: [ClosedRange<Int>]
        /// Text that occurs in the first 64 KiB of the answer; nil: any.
        public var body: String?
        /// Sent with it; a Host among them takes the place of the stage's.
        public var headers: [String: String]

        public init(
            path: String = "/", status: [ClosedRange<Int>] = Self.usualStatus, body: String? = nil, headers: [String: String] = [:]
        ) {
            self.path = path
            self.status = status
            self.body = body
            self.headers = headers
        }

        /// `200-399, 503`.
        public var statusText: String {
            status.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ", ")
        }
    }

    public var probe: Probe
    /// From one question to the next.
    public var interval: Double
    public var timeout: Double
    /// Successes in a row until the instance counts as healthy.
    public var healthy: Int
    /// Failures in a row until an instance that was healthy does not count as such any more.
    public var unhealthy: Int
    /// How long an instance may take after its start to become healthy: until then failures do not count.
    public var grace: Double

    public init(
        _ probe: Probe = .http(Request()), interval: Double = 1, timeout: Double = 2, healthy: Int = 2, unhealthy: Int = 3,
        grace: Double = 30
    ) {
        self.probe = probe
        self.interval = interval
        self.timeout = timeout
        self.healthy = healthy
        self.unhealthy = unhealthy
        self.grace = grace
    }

    public init(path: String, interval: Double = 1, timeout: Double = 2, healthy: Int = 2, unhealthy: Int = 3, grace: Double = 30) {
        self.init(
            .http(Request(path: path)), interval: interval, timeout: timeout, healthy: healthy, unhealthy: unhealthy, grace: grace)
    }
}

extension HealthCheck.Probe: CustomStringConvertible {
    /// `GET /healthz`, `a connection to port 5432`, `the command 'pg_isready -q'`, `that it runs`.
    public var description: String {
        switch self {
        case .http(let request): "GET \(request.path)"
        case .tcp(let port): "a connection to port \(port)"
        case .command(let words): "the command '\(words.joined(separator: " ").prefix(100))'"
        case .none: "that it runs"
        }
    }
}

/// One flat object. What is usual is left out: releases from before there were other probes, and the digests of their
/// configurations, stay as they are.
extension HealthCheck: Codable {
    private enum CodingKeys: String, CodingKey {
        case path, status, body, headers, tcp, command, interval, timeout, healthy, unhealthy, grace
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        if let path = try values.decodeIfPresent(String.self, forKey: .path) {
            probe = .http(
                Request(
                    path: path, status: try values.decodeIfPresent([ClosedRange<Int>].self, forKey: .status) ?? Request.usualStatus,
                    body: try values.decodeIfPresent(String.self, forKey: .body),
                    headers: try values.decodeIfPresent([String: String].self, forKey: .headers) ?? [:]))
        } else if let port = try values.decodeIfPresent(Int.self, forKey: .tcp) {
            probe = .tcp(port: port)
        } else if let command = try values.decodeIfPresent([String].self, forKey: .command) {
            probe = .command(command)
        } else {
            probe = .none
        }
        interval = try values.decode(Double.self, forKey: .interval)
        timeout = try values.decode(Double.self, forKey: .timeout)
        healthy = try values.decode(Int.self, forKey: .healthy)
        unhealthy = try values.decodeIfPresent(Int.self, forKey: .unhealthy) ?? 3
        grace = try values.decode(Double.self, forKey: .grace)
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        switch probe {
        case .http(let request):
            try values.encode(request.path, forKey: .path)
            if request.status != Request.usualStatus { try values.encode(request.status, forKey: .status) }
            try values.encodeIfPresent(request.body, forKey: .body)
            if !request.headers.isEmpty { try values.encode(request.headers, forKey: .headers) }
        case .tcp(let port): try values.encode(port, forKey: .tcp)
        case .command(let words): try values.encode(words, forKey: .command)
        case .none: break
        }
        try values.encode(interval, forKey: .interval)
        try values.encode(timeout, forKey: .timeout)
        try values.encode(healthy, forKey: .healthy)
        if unhealthy != 3 { try values.encode(unhealthy, forKey: .unhealthy) }
        try values.encode(grace, forKey: .grace)
    }
}
