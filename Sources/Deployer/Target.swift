public import DeliveryModel
public import OCIModel
public import SystemPackage

/// Where instances live: this machine first, others behind the same few calls.
///
/// Every call is idempotent and reports what is, not what was asked for: a rollout that is repeated after a crash
/// observes first. Implementations take plain values and share no file system with the caller.
public protocol Target: Sendable {
    /// Admits a new holder of a deployment: what those before it ask for is refused from now on, and what they are in the
    /// middle of is waited for. Nobody may act by a claim that was never admitted.
    func admit(_ claim: Claim) async throws
    /// The deployment is over: nobody may act for it any more, whatever the claim.
    ///
    /// - Parameter claim: who asks, as in ``stop(deployment:grace:by:)``.
    func dismiss(deployment: String, by claim: Claim?) async throws

    /// Makes available what the instances of an order need before they can start, such as their image.
    func prepare(_ order: RolloutOrder) async throws
    /// Makes sure that the instance exists and was started. An instance that already exists is left as it is.
    func start(_ instance: InstanceSpec, by claim: Claim) async throws
    /// The instances of a deployment that exist, running or not, ordered by replica.
    func observe(deployment: String) async throws -> [InstanceObservation]
    /// One instance, running or not; nil when there is none of that name for certain.
    ///
    /// - Throws: also when it may be where nobody answers now.
    func find(instance: String) async throws -> InstanceObservation?
    /// The deployments that have instances, running or not.
    func deployments() async throws -> Set<String>
    /// Stops and removes all instances of a deployment: SIGTERM, and SIGKILL after `grace`.
    ///
    /// - Parameter claim: who asks, which may be the deployment that takes its place; nil when nobody owns it any more.
    func stop(deployment: String, grace: Duration, by claim: Claim?) async throws
    /// Stops and removes one instance; nothing happens when there is none of that name.
    func stop(instance: String, grace: Duration, by claim: Claim?) async throws
    /// Who starts an instance again when it has ended.
    func upkeep(of instance: String) async throws -> Upkeep
    /// Runs a program in a running instance, with its user, environment and folder, until it ends; killed when it has not after
    /// `timeout`, or when the task is cancelled.
    ///
    /// - Throws: when the program could not be run: there is none of that name, or the instance does not run.
    func run(_ command: [String], in instance: String, timeout: Duration) async throws -> CommandEnd
    /// The last lines an instance wrote, oldest first.
    func logTail(instance: String, lines: Int) async throws -> [String]
    /// The processor time that the running instances of a deployment have used since they started, in seconds by id.
    func processorSeconds(deployment: String) async throws -> [String: Double]
    /// Brings a log of the caller's up to what an instance has written by now. In conmon's k8s-file format, as `LogReader` reads it;
    /// the file may already hold a part, from an earlier call. Nothing happens when there is no such instance.
    func collect(outputOf instance: String, into file: FilePath) async throws
}

extension Target {
    public func prepare(_ order: RolloutOrder) async throws {}
    public func upkeep(of instance: String) async throws -> Upkeep { .caller }
    public func processorSeconds(deployment: String) async throws -> [String: Double] { [:] }
}

/// Who starts an instance again when it has ended.
public enum Upkeep: Hashable, Sendable {
    /// Whoever uses the target.
    case caller
    /// The machine that it runs on, within some seconds, at the address it had.
    case machine
    /// It is to be the machine, which does not know of it yet: ``Target/start(_:by:)`` tells it, also when the instance runs.
    case missing
}

/// How a program that was run in an instance ended.
public struct CommandEnd: Hashable, Sendable {
    public enum Status: Hashable, Sendable {
        case exited(Int32)
        case timedOut
    }

    public var status: Status
    /// The last one it wrote to standard error; when there is none, to standard output.
    public var lastLine: String

    public init(_ status: Status, lastLine: String = "") {
        self.status = status
        self.lastLine = lastLine
    }

    init(_ status: Status, output: String, errors: String) {
        func last(_ text: String) -> String? {
            text.split(whereSeparator: \.isNewline).last { !$0.allSatisfy(\.isWhitespace) }.map(String.init)
        }
        self.init(status, lastLine: last(errors) ?? last(output) ?? "")
    }
}

/// One replica of a deployment as it should be.
public struct InstanceSpec: Codable, Hashable, Sendable {
    /// See ``InstanceSpec/id(project:stage:deployment:replica:)``.
    public var id: String
    public var deployment: String
    public var project: String
    public var stage: String
    /// Counts from 0.
    public var replica: Int
    public var image: Digest
    public var service: ServiceDefinition
    /// Set last: replaces variables of the image and of the service.
    public var environment: [String: String]
    /// The name of the job that it is; then it has no port, and its command is the whole command.
    public var job: String?

    public init(order: RolloutOrder, replica: Int) {
        self.id = Self.id(order: order, replica: replica)
        self.deployment = order.deployment
        self.project = order.project
        self.stage = order.stage
        self.replica = replica
        self.image = order.image
        self.service = order.service
        self.environment = order.environment
    }

    static func id(order: RolloutOrder, replica: Int) -> String {
        id(project: order.project, stage: order.stage, deployment: order.deployment, replica: replica)
    }

    /// The name of an instance: `<project>-<stage>-<8 hex of the deployment>-<replica>`, lower case letters, digits
    /// and dashes only, at most 63 characters.
    ///
    /// The 8 digits are a hash of the deployment's id: ids that begin with a time would share their first digits.
    public static func id(project: String, stage: String, deployment: String, replica: Int) -> String {
        let hash = Digest.sha256(Array(deployment.utf8)).hex.prefix(8)
        let tail = "-\(hash)-\(replica)"
        let name = "\(project)-\(stage)".lowercased().unicodeScalars.map { scalar -> Character in
            switch scalar {
            case "a"..."z", "0"..."9": Character(scalar)
            default: "-"
            }
        }
        let trimmed = name.drop { $0 == "-" }.prefix(63 - tail.count)
        return (trimmed.isEmpty ? "x" : String(trimmed)) + tail
    }
}

/// One replica of a deployment as it is.
public struct InstanceObservation: Codable, Hashable, Sendable {
    public enum State: Codable, Hashable, Sendable {
        /// Accepted, not running yet.
        case created
        case running
        case exited(code: Int32, outOfMemory: Bool)
    }

    public var id: String
    public var deployment: String
    public var replica: Int
    public var state: State
    /// IP address the router reaches it by; nil while there is none.
    public var address: String?
    /// The port it was started to listen on; nil when the target does not know.
    public var port: Int?
    /// Where the port of its TCP probe is reached, when that is another one than in its container.
    public var healthPort: Int?
    /// When it was started, in seconds since 1970, where others than the caller start instances too; nil elsewhere.
    public var startedAt: Double?

    public init(
        id: String, deployment: String, replica: Int, state: State, address: String? = nil, port: Int? = nil, healthPort: Int? = nil,
        startedAt: Double? = nil
    ) {
        self.id = id
        self.deployment = deployment
        self.replica = replica
        self.state = state
        self.address = address
        self.port = port
        self.healthPort = healthPort
        self.startedAt = startedAt
    }

    /// Where requests go, when the instance runs, listens and has an address.
    public func upstream(port fallback: Int?) -> Upstream? {
        guard state == .running, let address, let port = port ?? fallback else { return nil }
        return Upstream(address: address, port: port)
    }
}
