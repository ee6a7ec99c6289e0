public import SystemPackage

/// How one registry is reached.
public struct RegistrySettings: Sendable, Hashable {
    /// Without encryption; nil means yes for loopback hosts only.
    public var plainHTTP: Bool?
    /// PEM file with the certificates that may have signed the registry's; nil means the system's.
    public var certificateAuthority: FilePath?
    /// PEM files of a certificate to show to the registry, and of its key. Both or none.
    public var clientCertificate: FilePath?
    public var clientKey: FilePath?
    /// `host[:port]` of registries to pull from first. What they give is verified; the registry itself is asked when they
    /// fail or have not got it. Never pushed to.
    public var mirrors: [String]
    /// Whether redirects, upload addresses, token services and layer addresses that the registry names may lie in private
    /// networks. Nil means: only when the registry itself does.
    public var allowsPrivateAddresses: Bool?
    /// Blobs above this many bytes travel in chunks of this size: what a broken connection, or our own end, costs at most.
    /// 0 sends every blob in one piece. A registry that refuses chunks gets blobs in one piece.
    public var chunkSize: Int64

    public static let defaultChunkSize: Int64 = 32 << 20

    public init(
        plainHTTP: Bool? = nil, certificateAuthority: FilePath? = nil, clientCertificate: FilePath? = nil,
        clientKey: FilePath? = nil, mirrors: [String] = [], allowsPrivateAddresses: Bool? = nil,
        chunkSize: Int64 = RegistrySettings.defaultChunkSize
    ) {
        self.plainHTTP = plainHTTP
        self.certificateAuthority = certificateAuthority
        self.clientCertificate = clientCertificate
        self.clientKey = clientKey
        self.mirrors = mirrors
        self.allowsPrivateAddresses = allowsPrivateAddresses
        self.chunkSize = max(0, chunkSize)
    }
}
