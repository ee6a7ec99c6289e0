/// One command that runs once in the image of a release, apart from its instances: a migration, say.
public struct ServiceJob: Codable, Hashable, Sendable {
    public var name: String
    /// The program and its arguments; the image's Entrypoint and Cmd play no part.
    public var command: [String]
    /// Seconds that it may take.
    public var timeout: Double
    /// What it may use instead of what an instance may; nil: the same, limit by limit.
    public var limits: ResourceLimits?
    /// Whether it also runs when the stage goes back to the release; nil: no.
    public var onRollback: Bool?

    public init(name: String, command: [String], timeout: Double = 600, limits: ResourceLimits? = nil, onRollback: Bool? = nil) {
        self.name = name
        self.command = command
        self.timeout = timeout
        self.limits = limits
        self.onRollback = onRollback
    }
}

/// The jobs of every deployment of a release, in the order in which they run.
public struct DeploymentJobs: Codable, Hashable, Sendable {
    /// Before any new instance starts.
    public var before: [ServiceJob]
    /// When the new version has all requests, and the old one is gone.
    public var after: [ServiceJob]

    public init(before: [ServiceJob] = [], after: [ServiceJob] = []) {
        self.before = before
        self.after = after
    }

    public func job(_ name: String, _ moment: JobMoment) -> ServiceJob? {
        (moment == .before ? before : after).first { $0.name == name }
    }
}

/// When a job of a deployment runs.
public enum JobMoment: String, Codable, Hashable, Sendable { case before, after }

extension ResourceLimits {
    /// These, and of `others` what these leave open.
    public func completed(by others: ResourceLimits) -> ResourceLimits {
        ResourceLimits(memoryBytes: memoryBytes ?? others.memoryBytes, cpus: cpus ?? others.cpus, pids: pids ?? others.pids)
    }
}
