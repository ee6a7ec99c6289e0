public typealias NginxSettings = RouterSettings

/// How the router's own program runs.
public struct RouterSettings: Codable, Hashable, Sendable {
    /// Loopback by default: put a TLS proxy in front, or name a public address.
    public var listenAddress: String
    public var listenPort: Int
    /// The program; found along PATH when it holds no slash.
    public var program: String
    /// Processes of nginx that serve requests, or threads of haproxy.
    public var workers: Int
    /// After this, old workers cut the connections they still hold (websockets, streams).
    public var workerShutdown: Duration
    /// For how long answers ask clients to open a new connection before workers are replaced; see ``NginxConfiguration``.
    public var handover: Duration
    /// How long a reload may take until the new generation is the only one that answers.
    public var confirmTimeout: Duration
    /// Largest request body, in bytes.
    public var maxRequestBody: Int64
    /// Size in bytes from which a log is put aside; one old one is kept.
    public var logLimit: Int64
    /// Believe `X-Forwarded-Proto` of whoever connects; only when a proxy of yours does.
    public var trustForwarded: Bool
    /// Nil: no HTTPS.
    public var tls: RouterTLS?

    public init(
        listenAddress: String = "127.0.0.1", listenPort: Int, program: String = "nginx", workers: Int = 2,
        workerShutdown: Duration = .seconds(300), handover: Duration = .milliseconds(200),
        confirmTimeout: Duration = .seconds(15), maxRequestBody: Int64 = 1 << 30, logLimit: Int64 = 128 << 20,
        trustForwarded: Bool = false, tls: RouterTLS? = nil
    ) {
        self.listenAddress = listenAddress
        self.listenPort = listenPort
        self.program = program
        self.workers = workers
        self.workerShutdown = workerShutdown
        self.handover = handover
        self.confirmTimeout = confirmTimeout
        self.maxRequestBody = maxRequestBody
        self.logLimit = logLimit
        self.trustForwarded = trustForwarded
        self.tls = tls
    }
}
