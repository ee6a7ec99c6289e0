/// Asks one HTTP question over a connection of its own: health of an instance, generation of a router.
public protocol HTTPProbe: Sendable {
    /// - Throws: when no connection or no answer came within the timeout.
    func get(_ question: ProbeQuestion) async throws -> ProbeAnswer
}

public struct ProbeQuestion: Hashable, Sendable {
    /// IPv4 or IPv6 address.
    public var address: String
    public var port: Int
    public var path: String
    /// Value of the Host header; nil for the address.
    public var host: String?
    public var timeout: Duration

    public init(address: String, port: Int, path: String, host: String? = nil, timeout: Duration) {
        self.address = address
        self.port = port
        self.path = path
        self.host = host
        self.timeout = timeout
    }
}

public struct ProbeAnswer: Hashable, Sendable {
    public var status: Int
    /// The first bytes, at most 4 KiB.
    public var body: [UInt8]

    public init(status: Int, body: [UInt8] = []) {
        self.status = status
        self.body = body
    }

    /// 2xx and 3xx mean healthy.
    public var isHealthy: Bool { (200..<400).contains(status) }
}
