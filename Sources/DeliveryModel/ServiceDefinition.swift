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
    /// Nil: the usual one.
    public var isolation: Isolation?

    public init(
        command: [String]? = nil, environment: [String: String] = [:], port: Int?, health: HealthCheck = HealthCheck(),
        limits: ResourceLimits = ResourceLimits(), replicas: Int = 1, jobs: DeploymentJobs? = nil,
        cron: [CronJob]? = nil, isolation: Isolation? = nil
    ) {
        self.command = command
        self.environment = environment
        self.port = port
        self.health = health
        self.limits = limits
        self.replicas = replicas
        self.jobs = jobs
        self.cron = cron
        self.isolation = isolation
    }
}

/// What an instance may change in its container, and with which rights.
public struct Isolation: Codable, Hashable, Sendable {
    /// The root cannot be written; `/tmp` and `/run` are in memory.
    public var readOnly: Bool
    /// More folders in memory: absolute paths.
    public var tmpfs: [String]
    /// Beside `NET_BIND_SERVICE`, which every instance has: names of capabilities(7) without `CAP_`.
    public var capabilities: [String]

    public init(readOnly: Bool = true, tmpfs: [String] = [], capabilities: [String] = []) {
        self.readOnly = readOnly
        self.tmpfs = tmpfs
        self.capabilities = capabilities
    }

    /// Those that stay within the container: what Docker gives to every one (its engine's default list).
    public static let grantable = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID",
        "SETPCAP", "SETUID", "SYS_CHROOT",
    ]
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
