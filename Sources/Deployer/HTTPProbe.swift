/// Asks one question over a connection of its own: health of an instance, generation of a router.
public protocol HTTPProbe: Sendable {
    /// - Throws: when no connection or no answer came within the timeout; a ``ProbeFailure`` in words.
    func get(_ question: ProbeQuestion) async throws -> ProbeAnswer
    /// Opens a TCP connection and closes it.
    ///
    /// - Throws: when none was accepted within the timeout; a ``ProbeFailure`` in words.
    func connect(_ address: String, port: Int, timeout: Duration) async throws
}

/// Why there was no answer, for people: `connection refused`, `no answer within 2 s`.
public struct ProbeFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

public struct ProbeQuestion: Hashable, Sendable {
    /// IPv4 or IPv6 address.
    public var address: String
    public var port: Int
    public var path: String
    /// Value of the Host header; nil for the address.
    public var host: String?
    /// Sent with it; they come after, and so replace, what is usual.
    public var headers: [String: String]
    /// How many bytes of the answer are wanted.
    public var bodyLimit: Int
    public var timeout: Duration

    public init(
        address: String, port: Int, path: String, host: String? = nil, headers: [String: String] = [:], bodyLimit: Int = 4096,
        timeout: Duration
    ) {
        self.address = address
        self.port = port
        self.path = path
        self.host = host
        self.headers = headers
        self.bodyLimit = bodyLimit
        self.timeout = timeout
    }
}

public struct ProbeAnswer: Hashable, Sendable {
    public var status: Int
    /// The first bytes, at most as many as were wanted.
    public var body: [UInt8]

    public init(status: Int, body: [UInt8] = []) {
        self.status = status
        self.body = body
    }
}
