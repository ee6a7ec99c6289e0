public import SystemPackage

/// HTTPS of a router, with certificates of one's own.
public struct RouterTLS: Codable, Hashable, Sendable {
    /// Holds `HOST.pem`, the certificate and those of its issuers, and `HOST.key`, for each host; `*.DOMAIN.pem` for all hosts of a domain.
    public var certificates: FilePath
    public var listenAddress: String
    public var listenPort: Int
    /// Whether requests by HTTP, for hosts that have a certificate, are sent to HTTPS.
    public var redirect: Bool

    public init(certificates: FilePath, listenAddress: String = "127.0.0.1", listenPort: Int, redirect: Bool = false) {
        self.certificates = certificates
        self.listenAddress = listenAddress
        self.listenPort = listenPort
        self.redirect = redirect
    }
}

/// HTTPS as it is in force, kept with the routes: a renewed certificate is another table, and so another generation.
struct TLSTable: Codable, Hashable {
    var address: String
    var port: Int
    var redirects: Bool
    /// Below the router's folder, named by what is in it.
    var folder: String
    /// Hosts, and `*.domain` for those of a domain.
    var names: Set<String>

    /// Certificates and key of a name, one file.
    static func file(_ name: String) -> String { name.replacing("*", with: "_wildcard") + ".pem" }

    /// The certificate that SNI chooses for a host (RFC 6066, 3; RFC 6125, 6.4.3); nil: it has none.
    func file(for host: String) -> String? {
        let wildcard = "*." + host.split(separator: ".", maxSplits: 1).dropFirst().joined()
        return [host, wildcard].first(where: names.contains).map { "\(folder)/\(Self.file($0))" }
    }

    /// Where requests by HTTP are sent.
    func redirection(of host: String) -> String? {
        guard redirects, file(for: host) != nil else { return nil }
        return "https://\(host)" + (port == 443 ? "" : ":\(port)")
    }
}
