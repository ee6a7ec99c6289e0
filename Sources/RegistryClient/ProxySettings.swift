import FoundationEssentials

/// Which proxy to use for which address, as `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say it (in capitals or
/// not; not in capitals wins).
///
/// `NO_PROXY` is a list separated by commas: `*`; a name, which also means everything below it; `.name`, only what is below
/// it; an address; a network as `10.0.0.0/8`; each with `:port` or without. Loopback never goes through a proxy.
public struct ProxySettings: Sendable, Hashable {
    /// A proxy spoken to with CONNECT, or SOCKS5.
    public struct Proxy: Sendable, Hashable {
        public enum Kind: Sendable, Hashable { case http, socks }
        public let kind: Kind
        public let host: String
        public let port: Int
        /// `user:password`, if the proxy wants one.
        let login: String?
    }

    private let http: Proxy?
    private let https: Proxy?
    private let exceptions: [Exception]

    /// No proxy at all.
    public static let none = ProxySettings()

    private init() {
        (http, https, exceptions) = (nil, nil, [])
    }

    /// - Throws: ``RegistryError`` with code `invalidSettings` naming the variable; its value may hold a password and is not shown.
    public init(environment: [String: String]) throws(RegistryError) {
        func value(_ name: String) -> (String, String)? {
            for key in [name.lowercased(), name] {
                if let text = environment[key], !text.isEmpty { return (key, text) }
            }
            return nil
        }
        let all = value("ALL_PROXY")
        // In a CGI program HTTP_PROXY is the header "Proxy" of whoever asks.
        let plain = environment["REQUEST_METHOD"] == nil ? value("HTTP_PROXY") : environment["http_proxy"].map { ("http_proxy", $0) }
        http = try Self.proxy(plain ?? all)
        https = try Self.proxy(value("HTTPS_PROXY") ?? all)
        exceptions = (value("NO_PROXY")?.1 ?? "").split { $0 == "," || $0 == " " }.compactMap { Exception(String($0)) }
    }

    /// The proxy for an address; nil: connect directly.
    ///
    /// - Parameter host: without brackets.
    func proxy(scheme: String, host: String, port: Int) -> Proxy? {
        guard let proxy = scheme == "https" ? https : http else { return nil }
        let name = host.lowercased()
        let address = IPAddress(name)
        if name == "localhost" || name.hasSuffix(".localhost") || address?.reach == .loopback { return nil }
        return exceptions.contains { $0.covers(name, address, port) } ? nil : proxy
    }

    private static func proxy(_ setting: (name: String, value: String)?) throws(RegistryError) -> Proxy? {
        guard let setting else { return nil }
        let text = setting.value.contains("://") ? setting.value : "http://\(setting.value)"
        guard let url = URL(string: text), let host = url.host(percentEncoded: false), !host.isEmpty, let scheme = url.scheme?.lowercased()
        else { throw wrong(setting.name, "is not an address") }
        let kind: Proxy.Kind
        switch scheme {
        case "http": kind = .http
        case "socks5", "socks5h": kind = .socks
        default: throw wrong(setting.name, "has the scheme '\(scheme.prefix(20))', which is not supported")
        }
        let user = url.user(percentEncoded: false)
        guard kind == .http || user == nil else { throw wrong(setting.name, "has a user, which SOCKS cannot have here") }
        let name = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        return Proxy(
            kind: kind, host: name, port: url.port ?? (kind == .http ? 80 : 1080),
            login: user.map { "\($0):\(url.password(percentEncoded: false) ?? "")" })
    }

    private static func wrong(_ name: String, _ what: String) -> RegistryError {
        RegistryError(.invalidSettings, "\(name) \(what)", hint: "write it as http://HOST:PORT")
    }

    /// One entry of `NO_PROXY`.
    struct Exception: Sendable, Hashable {
        private enum What: Sendable, Hashable {
            case everything
            case name(String, onlyBelow: Bool)
            case network(IPAddress, bits: Int)
        }
        private let what: What
        private let port: Int?

        init?(_ text: String) {
            var entry = text.lowercased()
            if entry == "*" {
                (what, port) = (.everything, nil)
                return
            }
            if let slash = entry.firstIndex(of: "/") {
                guard let address = IPAddress(String(entry[..<slash])), let bits = Int(entry[entry.index(after: slash)...]),
                    (0...address.bytes.count * 8).contains(bits)
                else { return nil }
                (what, port) = (.network(address, bits: bits), nil)
                return
            }
            var number: Int?
            if IPAddress(entry) == nil, let colon = entry.lastIndex(of: ":"), let value = Int(entry[entry.index(after: colon)...]) {
                number = value
                entry = String(entry[..<colon])
            }
            if entry.hasPrefix("["), entry.hasSuffix("]") { entry = String(entry.dropFirst().dropLast()) }
            port = number
            if let address = IPAddress(entry) {
                what = .network(address, bits: address.bytes.count * 8)
            } else {
                let isBelow = entry.hasPrefix(".") || entry.hasPrefix("*.")
                let name = entry.drop { $0 == "*" || $0 == "." }
                guard !name.isEmpty else { return nil }
                what = .name(String(name), onlyBelow: isBelow)
            }
        }

        func covers(_ host: String, _ address: IPAddress?, _ port: Int) -> Bool {
            if let own = self.port, own != port { return false }
            switch what {
            case .everything: return true
            case .name(let name, let onlyBelow): return host.hasSuffix(".\(name)") || (!onlyBelow && host == name)
            case .network(let network, let bits): return address.map { $0.isIn(network, bits: bits) } ?? false
            }
        }
    }
}
