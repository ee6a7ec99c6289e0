public import ImageStore
public import RegistryServer

/// What the embedded registry needs beside the image store.
public struct RegistryParts: Sendable {
    /// Signs the registry's short-lived bearer tokens; the same at every start.
    public var tokenKey: [UInt8]
    /// Whether those without credentials may pull.
    public var anonymousPull: Bool
    public var limits: RegistryLimits
    public var metrics: RegistryMetrics
    public var history: CollectionHistory
    /// Collects garbage, or with `true` only looks.
    public var collect: @Sendable (_ dryRun: Bool) async throws -> CollectionReport

    public init(
        tokenKey: [UInt8], anonymousPull: Bool, limits: RegistryLimits, metrics: RegistryMetrics,
        history: CollectionHistory, collect: @escaping @Sendable (_ dryRun: Bool) async throws -> CollectionReport
    ) {
        self.tokenKey = tokenKey
        self.anonymousPull = anonymousPull
        self.limits = limits
        self.metrics = metrics
        self.history = history
        self.collect = collect
    }
}
