/// How instances of a release run: the part of a pipeline file that is frozen into the release.
public struct ServiceDefinition: Codable, Hashable, Sendable {
    /// Replaces the image's Cmd when given; the image's Entrypoint stays.
    public var command: [String]?
    public var environment: [String: String]
    /// The port the instance listens on inside its container.
    public var port: Int
    public var health: HealthCheck
    public var limits: ResourceLimits
    public var replicas: Int
    /// What runs before and after each deployment.
    public var jobs: DeploymentJobs?
    /// What runs by schedule.
    public var cron: [CronJob]?

    public init(
        command: [String]? = nil, environment: [String: String] = [:], port: Int, health: HealthCheck = HealthCheck(),
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

/// When an instance counts as healthy. Times are in seconds.
public struct HealthCheck: Codable, Hashable, Sendable {
    public var path: String
    public var interval: Double
    public var timeout: Double
    /// Successes in a row until the instance counts as healthy.
    public var healthy: Int
    /// How long an instance may take to become healthy before the deployment fails.
    public var grace: Double

    public init(
        path: String = "/", interval: Double = 1, timeout: Double = 2, healthy: Int = 2, grace: Double = 30
    ) {
        self.path = path
        self.interval = interval
        self.timeout = timeout
        self.healthy = healthy
        self.grace = grace
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
