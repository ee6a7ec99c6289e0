/// How instances of a release run: the part of a pipeline file that is frozen into the release.
public struct ServiceDefinition: Codable, Hashable, Sendable {
    /// Replaces the image's Cmd when given; the image's Entrypoint stays.
    public var command: [String]?
    public var environment: [String: String]
    /// The port the instance listens on inside its container; nil for a worker, which no request reaches.
    public var port: Int?
    public var health: HealthCheck
    public var limits: ResourceLimits
    public var replicas: Int
    /// What runs before and after each deployment.
    public var jobs: DeploymentJobs?
    /// What runs by schedule.
    public var cron: [CronJob]?

    public init(
        command: [String]? = nil, environment: [String: String] = [:], port: Int?, health: HealthCheck = HealthCheck(),
        limits: ResourceLimits = ResourceLimits(), replicas: Int = 1, jobs: DeploymentJobs? = nil,
        cron: [CronJob]? = nil
    ) {
        self.command = command
        self.environment = environment
        self.port = port
        self.health = health
        self.limits = limits
        self.replicas = replicas
        self.jobs = jobs
        self.cron = cron
    }
}

/// What a container may use at most; nil means no limit of ours.
public struct ResourceLimits: Codable, Hashable, Sendable {
    public var memoryBytes: Int64?
    /// Processors, 0.5 = half of one.
    public var cpus: Double?
    public var pids: Int?

    public init(memoryBytes: Int64? = nil, cpus: Double? = nil, pids: Int? = nil) {
        self.memoryBytes = memoryBytes
        self.cpus = cpus
        self.pids = pids
    }
}
