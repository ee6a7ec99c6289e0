/// The right of one server to do what a name stands for; see ``StateStore/claimLease(_:holder:leaseSeconds:)``.
public struct NamedLease: Codable, Hashable, Sendable {
    public var name: String
    public var holder: String
    /// Grows with every claim.
    public var epoch: Int64
    public var leaseExpiresAt: Double
}

/// Which data directory a store belongs to; see ``StateStore/register(folder:place:adopting:)``.
public struct Registration: Codable, Hashable, Sendable {
    /// The data directory's id.
    public var folder: String
    /// Where that directory was when a server of it registered last, for people: `host:path`.
    public var place: String
    /// The store's own id: two names of one database lead to the same one.
    public var store: String

    public init(folder: String, place: String, store: String) {
        self.folder = folder
        self.place = place
        self.store = store
    }
}
