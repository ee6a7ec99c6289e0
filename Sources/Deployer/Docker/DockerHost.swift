import Glibc

/// A Docker daemon, or a Podman service, by the address of its API.
public struct DockerHost: Hashable, Sendable, CustomStringConvertible {
    public enum Endpoint: Hashable, Sendable {
        /// Absolute path of a socket of this machine.
        case unix(path: String)
        case tcp(host: String, port: Int)
    }

    public let endpoint: Endpoint
    /// IP address on which ports of instances are published, and where the router reaches them. Nil: instances are reached by
    /// the addresses of their containers, which only the machine itself can do.
    public let address: String?
    /// As it is written in the settings.
    public let description: String

    /// Reads `unix:///var/run/docker.sock`, `tcp://10.0.0.5:2376`, and either with `?address=IP`.
    ///
    /// A daemon on another machine publishes on the address it is asked at, unless `address` says otherwise. A host name
    /// needs `address`: what it means may change, and a route names an IP address.
    ///
    /// - Throws: `.invalidValue` with what would be right.
    public init(parsing text: String) throws(DeployerError) {
        func wrong(_ why: String) -> DeployerError {
            DeployerError(
                .invalidValue, "'\(RouteValidation.printable(text))' is not the address of a docker host: \(why)",
                hint: "write unix:///var/run/docker.sock, tcp://10.0.0.5:2376, or tcp://box.example.org:2376?address=10.0.0.5")
        }
        description = text
        let halves = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var given: String?
        if halves.count == 2 {
            guard halves[1].hasPrefix("address=") else { throw wrong("only address=IP may follow the '?'") }
            let value = String(halves[1].dropFirst("address=".count))
            guard RouteValidation.isAddress(value) else { throw wrong("'\(RouteValidation.printable(value))' is not an IP address") }
            given = value
        }
        let place = halves.first ?? ""
        if place.hasPrefix("unix://") {
            let path = String(place.dropFirst("unix://".count))
            // sun_path has room for 107 bytes, unix(7).
            guard path.hasPrefix("/"), path.utf8.count < 108 else { throw wrong("a socket is named by its absolute path, of at most 107 bytes") }
            endpoint = .unix(path: path)
            address = given
        } else if place.hasPrefix("tcp://") {
            guard let (host, port) = Self.authority(place.dropFirst("tcp://".count)) else { throw wrong("it needs a host and a port") }
            endpoint = .tcp(host: host, port: port)
            guard let reached = given ?? (RouteValidation.isAddress(host) ? host : nil) else {
                throw wrong("'\(RouteValidation.printable(host))' is a name, so the IP address of its instances is needed too")
            }
            address = reached
        } else if place.hasPrefix("ssh://") {
            throw wrong(
                "ssh is not supported; forward the socket: ssh -nNT -L /run/box.sock:/var/run/docker.sock USER@HOST, then write unix:///run/box.sock?address=IP"
            )
        } else {
            throw wrong("it begins neither with unix:// nor with tcp://")
        }
    }

    private static func authority(_ text: Substring) -> (String, Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (1...65535).contains(port) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        let name = String(host)
        return RouteValidation.isAddress(name) || RouteValidation.isHostName(name) ? (name, port) : nil
    }

    /// Whether what is sent to it stays on this machine.
    public var isLoopback: Bool {
        switch endpoint {
        case .unix: true
        case .tcp(let host, _): host == "localhost" || host == "::1" || host.hasPrefix("127.") && RouteValidation.isAddress(host)
        }
    }

    /// Where requests go, for a path that begins with `/`.
    func url(_ path: String, secure: Bool) -> String {
        switch endpoint {
        case .unix(let socket): "http+unix://\(Self.escape(socket))\(path)"
        case .tcp(let host, let port): "\(secure ? "https" : "http")://\(host.contains(":") ? "[\(host)]" : host):\(port)\(path)"
        }
    }

    /// Percent-encoded but for unreserved characters (RFC 3986, 2.3).
    static func escape(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { result, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }
}
