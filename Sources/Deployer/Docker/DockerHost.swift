import Glibc

/// A Docker daemon, or a Podman service, by the address of its API.
public struct DockerHost: Hashable, Sendable, CustomStringConvertible {
    public enum Endpoint: Hashable, Sendable {
        /// Absolute path of a socket of this machine.
        case unix(path: String)
        case tcp(host: String, port: Int)
        case ssh(RemoteSocket)
    }

    public let endpoint: Endpoint
    /// IP address on which ports of instances are published, and where the router reaches them. Nil: instances are reached by
    /// the addresses of their containers, which only the machine itself can do.
    public let address: String?
    /// As it is written in the settings.
    public let description: String

    /// Reads `unix:///var/run/docker.sock`, `tcp://10.0.0.5:2376`, `ssh://[USER@]10.0.0.5[:PORT][/PATH]`, and each with `?address=IP`.
    ///
    /// A daemon on another machine publishes on the address it is asked at, unless `address` says otherwise. A host name
    /// needs `address`: what it means may change, and a route names an IP address.
    ///
    /// - Throws: `.invalidValue` with what would be right.
    public init(parsing text: String) throws(DeployerError) {
        func wrong(_ why: String) -> DeployerError {
            DeployerError(
                .invalidValue, "'\(RouteValidation.printable(text))' is not the address of a docker host: \(why)",
                hint: "write unix:///var/run/docker.sock, ssh://deploy@10.0.0.5, tcp://10.0.0.5:2376, or tcp://box.example.org:2376?address=10.0.0.5")
        }
        func reached(_ given: String?, _ host: String) throws(DeployerError) -> String {
            guard let address = given ?? (RouteValidation.isAddress(host) ? host : nil) else {
                throw wrong("'\(RouteValidation.printable(host))' is a name, so the IP address of its instances is needed too")
            }
            return address
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
            address = try reached(given, host)
        } else if place.hasPrefix("ssh://") {
            let remote = try RemoteSocket(parsing: place.dropFirst("ssh://".count), wrong: wrong)
            endpoint = .ssh(remote)
            address = try reached(given, remote.host)
        } else {
            throw wrong("it begins with none of unix://, ssh:// and tcp://")
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
        case .ssh: false
        }
    }

    /// Whether others may be on the way, so that it has to be asked by TLS.
    public var needsTLS: Bool {
        if case .tcp = endpoint { !isLoopback } else { false }
    }

    static func url(socket: String, _ path: String) -> String { "http+unix://\(escape(socket))\(path)" }

    /// Where requests go, for a path that begins with `/`; for one that is reached by ssh, on that machine.
    func url(_ path: String, secure: Bool) -> String {
        switch endpoint {
        case .unix(let socket): Self.url(socket: socket, path)
        case .ssh(let remote): Self.url(socket: remote.path, path)
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
