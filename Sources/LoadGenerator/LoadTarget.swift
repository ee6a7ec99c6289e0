/// Where requests go.
public struct LoadTarget: Sendable {
    /// IP address or name, and port, of the router.
    public var address: String
    public var port: Int
    /// The host name that is asked for.
    public var host: String
    /// The answer's field that names the version which gave it.
    public var versionField: String

    public init(address: String, port: Int, host: String, versionField: String = "X-Slipway-Test-Version") {
        self.address = address
        self.port = port
        self.host = host
        self.versionField = versionField
    }

    func url(_ path: String) -> String { "http://\(address.contains(":") ? "[\(address)]" : address):\(port)\(path)" }
}
