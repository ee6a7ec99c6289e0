public import DeliveryModel

/// A validated pipeline file: everything a run needs, with the defaults filled in.
///
/// A plan holds names of secrets, never their values. It is Codable so that a run keeps the plan it was
/// started with.
public struct PipelinePlan: Codable, Sendable, Equatable {
    /// The file's name without folder and extension: `pipelines/gtin.yaml` is `gtin`.
    public var name: String
    /// The run happens when any of these matches; never empty after parsing.
    public var when: [Trigger]
    /// nil = runs of the pipeline may overlap.
    public var concurrency: ConcurrencyPlan?
    /// In the order written; `dependsOn` is complete, the sequential default included.
    public var steps: [StepPlan]
    public var build: BuildPlan?
    public var service: ServiceDefinition?
    /// In the order written.
    public var stages: [StagePlan]

    public init(
        name: String, when: [Trigger] = [Trigger()], concurrency: ConcurrencyPlan? = nil, steps: [StepPlan] = [],
        build: BuildPlan? = nil, service: ServiceDefinition? = nil, stages: [StagePlan] = []
    ) {
        self.name = name
        self.when = when
        self.concurrency = concurrency
        self.steps = steps
        self.build = build
        self.service = service
        self.stages = stages
    }

    /// Every secret the plan names, sorted and without repetition.
    public var secretNames: [String] {
        let values = steps.flatMap { $0.environment.values } + stages.flatMap { $0.environment.values }
        var names: Set<String> = []
        for case .secret(let name) in values { names.insert(name) }
        names.formUnion(build?.containerfile?.secrets ?? [])
        return names.sorted()
    }
}

/// The value of an environment variable.
public enum Value: Codable, Sendable, Hashable {
    case literal(String)
    /// The name of a secret of the project, looked up when the container starts.
    case secret(String)
}

/// Commands in one container over the run's workspace.
public struct StepPlan: Codable, Sendable, Equatable {
    public var name: String
    /// A parseable image reference.
    public var image: String
    /// Passed to a shell unchanged, one after the other.
    public var commands: [String]
    public var environment: [String: Value]
    /// Names of steps that must have succeeded.
    public var dependsOn: [String]
    /// Seconds that each attempt gets.
    public var timeout: Double
    /// How often the step runs again after it failed.
    public var retries: Int
    public var limits: ResourceLimits

    public init(
        name: String, image: String, commands: [String], environment: [String: Value] = [:],
        dependsOn: [String] = [], timeout: Double = 3600, retries: Int = 0, limits: ResourceLimits = ResourceLimits()
    ) {
        self.name = name
        self.image = image
        self.commands = commands
        self.environment = environment
        self.dependsOn = dependsOn
        self.timeout = timeout
        self.retries = retries
        self.limits = limits
    }

    /// Plans that runs kept from before there were retries have none.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        image = try container.decode(String.self, forKey: .image)
        commands = try container.decode([String].self, forKey: .commands)
        environment = try container.decode([String: Value].self, forKey: .environment)
        dependsOn = try container.decode([String].self, forKey: .dependsOn)
        timeout = try container.decode(Double.self, forKey: .timeout)
        retries = try container.decodeIfPresent(Int.self, forKey: .retries) ?? 0
        limits = try container.decode(ResourceLimits.self, forKey: .limits)
    }
}

/// How the run's workspace becomes an image.
public struct BuildPlan: Codable, Sendable, Equatable {
    /// `[registry/]repository[:tag]`; no registry means the embedded one.
    public var image: String
    /// nil = scratch.
    public var base: String?
    public var copy: [CopyPlan]
    public var entrypoint: [String]?
    public var cmd: [String]?
    public var environment: [String: String]
    public var user: String?
    public var workdir: String?
    /// `80/tcp`, `53/udp`: always with the protocol.
    public var ports: [String]
    public var labels: [String: String]
    /// The image is made by a Containerfile; then base, copies and configuration stand there.
    public var containerfile: ContainerfilePlan?

    public init(
        image: String, base: String? = nil, copy: [CopyPlan] = [], entrypoint: [String]? = nil,
        cmd: [String]? = nil, environment: [String: String] = [:], user: String? = nil, workdir: String? = nil,
        ports: [String] = [], labels: [String: String] = [:]
    ) {
        self.image = image
        self.base = base
        self.copy = copy
        self.entrypoint = entrypoint
        self.cmd = cmd
        self.environment = environment
        self.user = user
        self.workdir = workdir
        self.ports = ports
        self.labels = labels
    }
}

/// A Containerfile of the workspace and what it is given; the workspace is its build context.
public struct ContainerfilePlan: Codable, Sendable, Equatable {
    /// Relative to the workspace, without `..`.
    public var file: String
    /// The stage to build; nil is the last.
    public var target: String?
    /// Values of ARG instructions.
    public var arguments: [String: String]
    /// Secrets of the project for `RUN --mount=type=secret,id=NAME`.
    public var secrets: [String]

    public init(file: String, target: String? = nil, arguments: [String: String] = [:], secrets: [String] = []) {
        self.file = file
        self.target = target
        self.arguments = arguments
        self.secrets = secrets
    }
}

/// A file or folder of the workspace that goes into the image.
public struct CopyPlan: Codable, Sendable, Equatable {
    /// Relative to the workspace, without `..`.
    public var from: String
    /// Absolute path in the image.
    public var to: String
    /// Permission bits; nil keeps what the file has.
    public var mode: UInt16?

    public init(from: String, to: String, mode: UInt16? = nil) {
        self.from = from
        self.to = to
        self.mode = mode
    }
}

/// A place in the promotion order, bound to a target of the server.
public struct StagePlan: Codable, Sendable, Equatable {
    public var name: String
    /// The name of a target in the server's configuration.
    public var target: String
    /// The host name the router answers for; nil = `<stage>.<project>.localhost`, empty = none, as the service
    /// has no port.
    public var host: String?
    /// Prefixes of the host's paths, as in `/api`; nil = all.
    public var paths: [String]?
    /// Whether instances get the path without its prefix; nil = with it.
    public var stripPrefix: Bool?
    /// Where the other paths of the host go; nil = nowhere.
    public var legacy: LegacyPlan?
    /// The stage that must have succeeded with the same digest; nil = directly after the build.
    public var after: String?
    public var approval: ApprovalRule?
    /// Added to the service's environment; wins over it.
    public var environment: [String: Value]
    /// Replaces the service's count when given.
    public var replicas: Int?
    /// Seconds that in-flight requests get before old instances stop; nil = the server's default.
    public var drain: Double?
    /// Nil = blue-green without a pause.
    public var strategy: RolloutStrategy?
    /// Seconds for which the new version must stay healthy, with all requests, before the old one goes; nil = none.
    public var soak: Double?
    /// When no deployment begins; nil = always open, but for what the server says.
    public var freeze: [FreezeWindow]?
    /// When a release comes here; nil = at once.
    public var promote: PromotionRule?
    /// The pipelines that name the same train switch together in this stage.
    public var train: String?
    /// Pipelines of the project that have to be live in the stage of this name before a deployment begins.
    public var requires: [String]?
    /// Nil = always so many replicas.
    public var autoscale: AutoscaleRule?

    public init(
        name: String, target: String = "local", host: String? = nil, paths: [String]? = nil, stripPrefix: Bool? = nil,
        legacy: LegacyPlan? = nil, after: String? = nil,
        approval: ApprovalRule? = nil, environment: [String: Value] = [:], replicas: Int? = nil,
        drain: Double? = nil, strategy: RolloutStrategy? = nil, soak: Double? = nil, freeze: [FreezeWindow]? = nil,
        promote: PromotionRule? = nil, train: String? = nil, requires: [String]? = nil, autoscale: AutoscaleRule? = nil
    ) {
        self.name = name
        self.target = target
        self.host = host
        self.paths = paths
        self.stripPrefix = stripPrefix
        self.legacy = legacy
        self.after = after
        self.approval = approval
        self.environment = environment
        self.replicas = replicas
        self.drain = drain
        self.strategy = strategy
        self.soak = soak
        self.freeze = freeze
        self.promote = promote
        self.train = train
        self.requires = requires
        self.autoscale = autoscale
    }
}

/// An application from before, from which a service takes a host over path by path. It is spoken to by HTTP.
public struct LegacyPlan: Codable, Sendable, Equatable {
    /// IPv4 or IPv6.
    public var address: String
    public var port: Int

    public init(address: String, port: Int) {
        self.address = address
        self.port = port
    }
}
