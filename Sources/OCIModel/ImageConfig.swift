/// What a container of an image runs and how its root file system is made up (image-spec, config.md).
public struct ImageConfig: Codable, Hashable, Sendable {
    /// RFC 3339.
    public var created: String?
    public var author: String?
    public var architecture: String
    public var os: String
    public var variant: String?
    public var config: ExecutionConfig?
    public var rootfs: RootFS
    public var history: [History]?

    public init(
        created: String? = nil, author: String? = nil, architecture: String, os: String, variant: String? = nil,
        config: ExecutionConfig? = nil, rootfs: RootFS, history: [History]? = nil
    ) {
        self.created = created
        self.author = author
        self.architecture = architecture
        self.os = os
        self.variant = variant
        self.config = config
        self.rootfs = rootfs
        self.history = history
    }
}

/// The digests of the uncompressed layers, lowest first.
public struct RootFS: Codable, Hashable, Sendable {
    public var type: String
    public var diffIDs: [Digest]

    enum CodingKeys: String, CodingKey {
        case type
        case diffIDs = "diff_ids"
    }

    public init(diffIDs: [Digest]) {
        self.type = "layers"
        self.diffIDs = diffIDs
    }
}

/// How one layer came to be.
public struct History: Codable, Hashable, Sendable {
    public var created: String?
    public var author: String?
    public var createdBy: String?
    public var comment: String?
    public var emptyLayer: Bool?

    enum CodingKeys: String, CodingKey {
        case created, author, comment
        case createdBy = "created_by"
        case emptyLayer = "empty_layer"
    }

    public init(
        created: String? = nil, author: String? = nil, createdBy: String? = nil, comment: String? = nil,
        emptyLayer: Bool? = nil
    ) {
        self.created = created
        self.author = author
        self.createdBy = createdBy
        self.comment = comment
        self.emptyLayer = emptyLayer
    }
}

/// The execution parameters of an image. Keys unknown to us are not kept: a new image gets a new config.
public struct ExecutionConfig: Codable, Hashable, Sendable {
    public struct Empty: Codable, Hashable, Sendable { public init() {} }

    /// How a runtime asks whether the service is well: not in the OCI specification, but Docker's and Podman's.
    public struct Healthcheck: Codable, Hashable, Sendable {
        /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`.
        public var test: [String]?
        /// Nanoseconds, as the other times; nil or 0 is the runtime's default.
        public var interval: Int64?
        public var timeout: Int64?
        public var startPeriod: Int64?
        public var startInterval: Int64?
        public var retries: Int?

        enum CodingKeys: String, CodingKey {
            case test = "Test"
            case interval = "Interval"
            case timeout = "Timeout"
            case startPeriod = "StartPeriod"
            case startInterval = "StartInterval"
            case retries = "Retries"
        }

        public init(
            test: [String]? = nil, interval: Int64? = nil, timeout: Int64? = nil, startPeriod: Int64? = nil,
            startInterval: Int64? = nil, retries: Int? = nil
        ) {
            self.test = test
            self.interval = interval
            self.timeout = timeout
            self.startPeriod = startPeriod
            self.startInterval = startInterval
            self.retries = retries
        }
    }

    public var user: String?
    public var exposedPorts: [String: Empty]?
    public var env: [String]?
    public var entrypoint: [String]?
    public var cmd: [String]?
    public var volumes: [String: Empty]?
    public var workingDir: String?
    public var labels: [String: String]?
    public var stopSignal: String?
    public var healthcheck: Healthcheck?
    /// Instructions for whoever builds on the image; Docker's, not in the OCI specification, as is `shell`.
    public var onBuild: [String]?
    /// What runs the shell form of instructions built on the image.
    public var shell: [String]?

    enum CodingKeys: String, CodingKey {
        case healthcheck = "Healthcheck"
        case onBuild = "OnBuild"
        case shell = "Shell"
        case user = "User"
        case exposedPorts = "ExposedPorts"
        case env = "Env"
        case entrypoint = "Entrypoint"
        case cmd = "Cmd"
        case volumes = "Volumes"
        case workingDir = "WorkingDir"
        case labels = "Labels"
        case stopSignal = "StopSignal"
    }

    public init(
        user: String? = nil, exposedPorts: [String: Empty]? = nil, env: [String]? = nil, entrypoint: [String]? = nil,
        cmd: [String]? = nil, volumes: [String: Empty]? = nil, workingDir: String? = nil,
        labels: [String: String]? = nil, stopSignal: String? = nil, healthcheck: Healthcheck? = nil,
        onBuild: [String]? = nil, shell: [String]? = nil
    ) {
        self.user = user
        self.exposedPorts = exposedPorts
        self.env = env
        self.entrypoint = entrypoint
        self.cmd = cmd
        self.volumes = volumes
        self.workingDir = workingDir
        self.labels = labels
        self.stopSignal = stopSignal
        self.healthcheck = healthcheck
        self.onBuild = onBuild
        self.shell = shell
    }
}
