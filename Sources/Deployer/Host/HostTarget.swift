public import ContainerRuntime
import FoundationEssentials
public import OCIModel
public import SystemPackage

/// Instances as containers of this machine.
///
/// Keeps no list of its own: what exists is what the runtime finds, so a restarted server sees the same instances.
public struct HostTarget: Target {
    /// What a container is made of.
    public struct Image: Sendable {
        public var config: ImageConfig
        /// Unpacked layers, bottom first.
        public var layers: [FilePath]

        public init(config: ImageConfig, layers: [FilePath]) {
            self.config = config
            self.layers = layers
        }
    }

    private let runtime: ContainerRuntime
    private let units: InstanceUnits?
    private let unpack: @Sendable (Digest) async throws -> Image

    /// - Parameters:
    ///   - units: by which the machine starts instances again that have ended; nil: that is left to the caller. Jobs never are.
    ///   - unpack: makes the layers of an image available as folders that stay as long as containers use them.
    public init(runtime: ContainerRuntime, units: InstanceUnits? = nil, unpack: @escaping @Sendable (Digest) async throws -> Image) {
        self.runtime = runtime
        self.units = units
        self.unpack = unpack
    }

    public func admit(_ claim: Claim) async throws {
        try await saying { try await runtime.fence(Self.fence(claim)) }
    }

    public func dismiss(deployment: String, by claim: Claim?) async throws {
        try await saying {
            try await runtime.acting(as: claim.map(Self.fence)) { try await runtime.forget(owner: deployment) }
        }
    }

    public func prepare(_ order: RolloutOrder) async throws { _ = try await unpack(order.image) }

    public func start(_ instance: InstanceSpec, by claim: Claim) async throws {
        let units = instance.job == nil ? units : nil
        if let found = try await runtime.observe(instance.id) {
            let owner = found.labels[InstanceSpec.deploymentLabel]
            guard owner == nil || owner == instance.deployment else {
                throw DeployerError(
                    .instanceFailed, "the container \(instance.id) belongs to deployment \(owner ?? "")",
                    hint: "remove it, or deploy again")
            }
            guard found.state == .created || (found.state == .running && units != nil) else { return }
        }
        let image = try await unpack(instance.image)
        let spec = try Self.spec(instance, image)
        let fence = Self.fence(claim)
        try await saying {
            _ = try await runtime.start(spec, fence: fence)
            try await units?.keep(spec, of: instance.deployment, by: fence)
        }
    }

    public func upkeep(of instance: String) async throws -> Upkeep {
        guard let units else { return .caller }
        return try await units.isKept(instance) ? .machine : .missing
    }

    public func observe(deployment: String) async throws -> [InstanceObservation] {
        try await containers(deployment).map(observation).sorted { ($0.replica, $0.id) < ($1.replica, $1.id) }
    }

    public func find(instance: String) async throws -> InstanceObservation? {
        try await runtime.observe(instance).flatMap { $0.labels[InstanceSpec.deploymentLabel] == nil ? nil : observation($0) }
    }

    private func observation(_ container: ContainerObservation) -> InstanceObservation {
        let state: InstanceObservation.State =
            switch container.state {
            case .created: .created
            case .running: .running
            case .exited(let status): .exited(code: status.code, outOfMemory: status.outOfMemory)
            }
        return InstanceObservation(
            id: container.id, deployment: container.labels[InstanceSpec.deploymentLabel] ?? "",
            replica: container.labels[InstanceSpec.replicaLabel].flatMap { Int($0) } ?? 0, state: state,
            address: container.address, port: container.labels[InstanceSpec.portLabel].flatMap { Int($0) },
            startedAt: units == nil ? nil : container.startedAt?.timeIntervalSince1970)
    }

    public func deployments() async throws -> Set<String> {
        let kept = try await units?.instances().keys.filter { !$0.isEmpty } ?? []
        return Set(try await runtime.list().compactMap { $0.labels[InstanceSpec.deploymentLabel] } + kept)
    }

    public func stop(deployment: String, grace: Duration, by claim: Claim?) async throws {
        if let units {
            // One that its unit is about to begin anew has no container now.
            let kept = try await units.instances()[deployment] ?? []
            try await retire(Array(Set(try await containers(deployment).map(\.id) + kept)), by: claim)
        }
        let ids = try await containers(deployment).map(\.id)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for id in ids {
                group.addTask { try await end(id, grace: grace, by: claim) }
            }
            try await group.waitForAll()
        }
    }

    public func stop(instance: String, grace: Duration, by claim: Claim?) async throws {
        try await retire([instance], by: claim)
        try await end(instance, grace: grace, by: claim)
    }

    /// First, so that nothing that is stopped from now on comes back.
    private func retire(_ instances: [String], by claim: Claim?) async throws {
        try await saying { try await units?.retire(instances, by: claim.map(Self.fence)) }
    }

    private func end(_ instance: String, grace: Duration, by claim: Claim?) async throws {
        guard let found = try await runtime.observe(instance) else { return }
        let fence = claim.map(Self.fence)
        try await saying {
            if found.state == .running { try await runtime.stop(instance, grace: grace, fence: fence) }
            try await runtime.remove(instance, fence: fence)
        }
    }

    public func run(_ command: [String], in instance: String, timeout: Duration) async throws -> CommandEnd {
        let end = try await runtime.run(instance, command, timeout: timeout)
        return CommandEnd(end.code.map { .exited($0) } ?? .timedOut, output: end.output, errors: end.errors)
    }

    private static func fence(_ claim: Claim) -> Fence { Fence(owner: claim.deployment, epoch: claim.epoch) }

    /// What a caller treats in its own way is said in the words of all targets.
    private func saying<T: Sendable>(_ body: () async throws -> T) async throws -> T {
        do { return try await body() } catch let error as ContainerError {
            switch error.code {
            case .fenced: throw DeployerError(.staleHolder, error.message, hint: error.hint)
            case .busy: throw DeployerError(.busy, error.message, hint: error.hint)
            default: throw error
            }
        }
    }

    public func logTail(instance: String, lines: Int) async throws -> [String] {
        try await LogReader(file: runtime.logFile(instance)).tail(lines).map(\.text)
    }

    public func processorSeconds(deployment: String) async throws -> [String: Double] {
        var used: [String: Double] = [:]
        for container in try await containers(deployment) where container.state == .running {
            used[container.id] = try await runtime.processorSeconds(container.id)
        }
        return used
    }

    /// Under a second name: what is written from then on is there at once.
    public func collect(outputOf instance: String, into file: FilePath) async throws {
        guard try await runtime.observe(instance) != nil else { return }
        try LogFile(runtime.logFile(instance)).keep(as: LogFile(file))
    }

    private func containers(_ deployment: String) async throws -> [ContainerObservation] {
        try await runtime.list().filter { $0.labels[InstanceSpec.deploymentLabel] == deployment }
    }
}
