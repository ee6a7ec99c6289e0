public import OCIModel

/// How long the images of some repositories are kept. A tag goes when neither reason keeps it; a rule with neither
/// keeps everything.
public struct RetentionRule: Sendable, Hashable {
    public var repositories: RepositoryPattern
    /// The newest tags, by when they were last pushed.
    public var keepLast: Int?
    /// Tags pushed within this time.
    public var keepFor: Duration?

    public init(repositories: RepositoryPattern, keepLast: Int? = nil, keepFor: Duration? = nil) {
        self.repositories = repositories
        self.keepLast = keepLast
        self.keepFor = keepFor
    }
}

/// What a garbage collection may remove.
public struct CollectionPolicy: Sendable {
    /// Content younger than this, or used within it, stays although nothing refers to it: its manifest may be on the way.
    public var grace: Duration
    /// Uploads nobody went on with for this long are given up.
    public var uploadExpiry: Duration
    /// Entries of the build cache go after this time.
    public var cacheExpiry: Duration
    /// Images that stay whatever else is said, with all they refer to: those that stages run.
    public var pins: Set<Digest>
    /// The first rule that matches a repository counts; without one all its manifests stay.
    public var retention: [RetentionRule]
    /// Looks, but removes nothing.
    public var dryRun: Bool

    public init(
        grace: Duration = .seconds(86_400), uploadExpiry: Duration = .seconds(86_400),
        cacheExpiry: Duration = .seconds(30 * 86_400), pins: Set<Digest> = [], retention: [RetentionRule] = [],
        dryRun: Bool = false
    ) {
        self.grace = grace
        self.uploadExpiry = uploadExpiry
        self.cacheExpiry = cacheExpiry
        self.pins = pins
        self.retention = retention
        self.dryRun = dryRun
    }
}

/// What a garbage collection removed, or would remove.
public struct CollectionReport: Codable, Sendable, Hashable {
    public var dryRun = false
    public var tagsRemoved = 0
    public var manifestsRemoved = 0
    public var blobsRemoved = 0
    public var bytesFreed: Int64 = 0
    public var blobsKept = 0
    public var bytesKept: Int64 = 0
    public var uploadsRemoved = 0
    public var snapshotsRemoved = 0
    public var cacheEntriesRemoved = 0
    /// Manifests that could not be read; what only they refer to is not protected.
    public var damagedManifests = 0
    public var seconds = 0.0
    /// The first of what was removed, one line each.
    public var removed: [String] = []

    static let listed = 1000

    public init() {}

    mutating func note(_ line: String) { if removed.count < Self.listed { removed.append(line) } }
}
