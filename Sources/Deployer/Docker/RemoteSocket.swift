/// A socket of another machine, reached by ssh.
public struct RemoteSocket: Hashable, Sendable, CustomStringConvertible {
    /// Where Docker listens unless told otherwise.
    public static let docker = "/var/run/docker.sock"

    /// Nil: as the configuration of ssh says.
    public let user: String?
    /// An IP address, or a name that ssh knows: of DNS, or of a `Host` in its configuration.
    public let host: String
    /// Nil: as the configuration of ssh says.
    public let port: Int?
    /// Absolute, on that machine.
    public let path: String

    /// `[USER@]HOST[:PORT]`.
    public var description: String {
        let name = host.contains(":") && port != nil ? "[\(host)]" : host
        return (user.map { "\($0)@" } ?? "") + name + (port.map { ":\($0)" } ?? "")
    }

    /// Words of ssh(1) that name the machine. None of them can be taken for an option.
    var destination: [String] { (user.map { ["-l", $0] } ?? []) + (port.map { ["-p", String($0)] } ?? []) + ["--", host] }

    /// Reads `[USER@]HOST[:PORT][/PATH]`.
    ///
    /// - Throws: what `wrong` makes of the reason.
    init(parsing text: Substring, wrong: (String) -> DeployerError) throws(DeployerError) {
        let slash = text.firstIndex(of: "/") ?? text.endIndex
        let (authority, path) = (text[..<slash], text[slash...])
        var place = authority
        if let at = authority.lastIndex(of: "@") {
            let name = String(authority[..<at])
            if name.contains(":") { throw wrong("ssh takes no password from here; give the user that runs the server a key") }
            guard Self.isUser(name) else { throw wrong("'\(RouteValidation.printable(name))' is not the name of a user") }
            user = name
            place = authority[authority.index(after: at)...]
        } else {
            user = nil
        }
        guard let (name, number) = Self.hostAndPort(place) else {
            throw wrong("'\(RouteValidation.printable(String(place)))' is neither a host nor HOST:PORT")
        }
        (host, port) = (name, number)
        if path.isEmpty || path == "/" {
            self.path = Self.docker
        } else {
            guard Self.isPath(path) else {
                throw wrong("the socket's path has at most 107 bytes, of letters, digits, '/', '.', '_', '-' and '+'")
            }
            self.path = String(path)
        }
    }

    private static func hostAndPort(_ text: Substring) -> (String, Int?)? {
        var host = text
        var port: Int?
        // An IPv6 address that a port follows stands in brackets (RFC 3986, 3.2.2).
        if let colon = text.lastIndex(of: ":"), text.hasPrefix("[") ? text[..<colon].hasSuffix("]") : text.firstIndex(of: ":") == colon {
            guard let number = Int(text[text.index(after: colon)...]), (1...65_535).contains(number) else { return nil }
            (host, port) = (text[..<colon], number)
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        let name = String(host)
        return RouteValidation.isAddress(name) || RouteValidation.isHostName(name) ? (name, port) : nil
    }

    private static func isUser(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && !text.hasPrefix("-") && text.utf8.allSatisfy { isWordByte($0) }
    }

    /// Without what ssh gives a meaning to in a forwarding: colons, '%', '$', backslashes.
    private static func isPath(_ text: Substring) -> Bool {
        text.utf8.count < 108 && text.utf8.allSatisfy { isWordByte($0) || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "+") }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
