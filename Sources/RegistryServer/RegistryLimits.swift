/// What clients may send to the registry. Nil is no limit; what is made on this machine itself is not limited.
public struct RegistryLimits: Sendable, Hashable {
    /// The largest blob, in bytes.
    public var blobBytes: Int64?
    /// What one repository may hold, in bytes; a blob counts in every repository that holds it.
    public var repositoryBytes: Int64?
    /// What the whole store may hold, in bytes, each blob counted once.
    public var totalBytes: Int64?
    /// Uploads that may be transferring at the same time.
    public var concurrentUploads: Int
    /// Accepts manifests that refer to content which was not pushed, such as an index with some platforms alone.
    public var allowsSparse: Bool

    public init(
        blobBytes: Int64? = nil, repositoryBytes: Int64? = nil, totalBytes: Int64? = nil, concurrentUploads: Int = 64,
        allowsSparse: Bool = false
    ) {
        self.blobBytes = blobBytes
        self.repositoryBytes = repositoryBytes
        self.totalBytes = totalBytes
        self.concurrentUploads = concurrentUploads
        self.allowsSparse = allowsSparse
    }
}
