public import OCIModel
public import SystemPackage
public import TarArchive

/// What to build. Equal requests over equal files make equal images.
public struct ContainerfileBuildRequest: Sendable {
    /// What a RUN without `--network` sees.
    public enum Network: String, Sendable, Hashable, CaseIterable {
        /// The outside, through a network of its own.
        case bridge
        /// Loopback only; `RUN --network=host` is refused.
        case none
        /// This machine's network.
        case host
    }

    public var containerfile: FilePath
    /// The folder COPY and ADD take files from; none of them leaves it, not even through a symbolic link.
    public var context: FilePath
    /// The stage to build, by name or number; nil is the last one.
    public var target: String?
    /// Values of ARG instructions.
    public var arguments: [String: String]
    public var platform: Platform
    /// Values for `RUN --mount=type=secret`, by id. They reach no layer, no log and no cache key.
    public var secrets: [String: [UInt8]]
    /// More values that no layer may hold, by what messages call them.
    public var forbidden: [String: [UInt8]] = [:]
    /// Sockets of SSH agents for `RUN --mount=type=ssh`, by id (`default`).
    public var agents: [String: FilePath]
    /// Added to the image's; they win over those of the file.
    public var labels: [String: String]
    /// Annotations of the manifest.
    public var annotations: [String: String]
    /// Seconds since 1970: when the image and its history were made, and what later modification times are cut to.
    public var timestamp: Int64
    /// Whether steps done before are taken from the cache. What is done is remembered in any case.
    public var usesCache: Bool
    public var network: Network
    /// Of the layers.
    public var compression: Compression = .standard
    /// For one RUN.
    public var timeout: Duration

    public init(
        containerfile: FilePath, context: FilePath, target: String? = nil, arguments: [String: String] = [:],
        platform: Platform = .current, secrets: [String: [UInt8]] = [:], agents: [String: FilePath] = [:],
        labels: [String: String] = [:], annotations: [String: String] = [:], timestamp: Int64,
        usesCache: Bool = true, network: Network = .bridge, timeout: Duration = .seconds(3600)
    ) {
        self.containerfile = containerfile
        self.context = context
        self.target = target
        self.arguments = arguments
        self.platform = platform
        self.secrets = secrets
        self.agents = agents
        self.labels = labels
        self.annotations = annotations
        self.timestamp = timestamp
        self.usesCache = usesCache
        self.network = network
        self.timeout = timeout
    }
}

/// One instruction, as progress shows it.
public struct BuildStep: Sendable, Hashable {
    /// The stage's name, else its number.
    public var stage: String
    /// From 1, within the stage.
    public var number: Int
    public var count: Int
    /// The instruction as written, on one line.
    public var text: String
    /// In the Containerfile, from 1.
    public var line: Int
}

/// What happens during a build. Stages are built at the same time: events of their steps come mixed.
public enum BuildEvent: Sendable {
    public enum Outcome: Sendable, Hashable {
        case done
        /// Done by an earlier build.
        case cached
    }

    /// Something worth knowing that is no mistake, with file and line.
    case warning(String)
    case started(BuildStep)
    /// One line a command wrote; values of secrets are replaced by `***`.
    case output(BuildStep, String)
    case finished(BuildStep, Outcome, Duration)
}

/// An image in the store, made from a Containerfile. No repository names it yet.
public struct ContainerfileImage: Sendable, Hashable {
    public let manifest: Descriptor
    public let config: Digest
    /// All layers, lowest first, those of the base included.
    public let layers: [Descriptor]
    /// How many instructions that make layers were done, and how many an earlier build had done.
    public let stepsRun: Int
    public let stepsCached: Int
    /// For ``ContainerfileBuilder/exportCache(of:)``.
    let cacheKeys: [Digest]
}
