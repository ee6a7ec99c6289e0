import DeliveryModel
import FoundationEssentials
import NIOHTTP1
import OCIModel

extension DockerTarget {
    public func start(_ instance: InstanceSpec, by claim: Claim) async throws {
        // Another one of that name may be about to go, and a name is free only some time after its container.
        for _ in 0..<50 {
            if try await tryToStart(instance, claim) { return }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw DeployerError(
            .busy, "a container with the name \(instance.id) has been about to be removed for 10 s",
            hint: "it will be tried again; see the daemon's log on that host")
    }

    /// Whether it is there and was started; false when it is worth another look.
    private func tryToStart(_ instance: InstanceSpec, _ claim: Claim) async throws -> Bool {
        let home = apis[instance.replica % apis.count]
        for (api, found) in try await onAnswering({ api in try await self.inspect(instance.id, api).map { (api, $0) } }).compactMap({ $0 }) {
            return try accept(found, of: instance, on: api.host) ? await run(found.id, of: instance, api, claim) : false
        }
        let image = try await image(of: instance, on: home)
        let body = try container(instance, image, on: home.host)
        let answer = try await acting(claim, home) { notAfter in
            try await home.ask(
                .POST, "/containers/create", query: [("name", instance.id)], body: body, expecting: [409], notAfter: notAfter)
        }
        // Somebody was quicker.
        if answer.status == 409 { return false }
        let made: DockerValues.Created = try home.decode(answer.body, "/containers/create")
        do { try await check(claim, home) } catch let error as DeployerError where error.code == .staleHolder {
            // Made after the next holder had come, it never runs; unless that one found it, and has started it.
            try await delete(made.id, home, force: false, notAfter: nil)
            throw error
        }
        return try await run(made.id, of: instance, home, claim)
    }

    /// Whether a container of that name is the instance; false when it is about to go.
    private func accept(_ found: DockerValues.Container, of instance: InstanceSpec, on host: DockerHost) throws -> Bool {
        let labels = found.config.labels ?? [:]
        guard isOurs(found), labels[InstanceSpec.deploymentLabel] == instance.deployment else {
            let whose =
                if let owner = labels[InstanceSpec.deploymentLabel], isOurs(found) { "belongs to deployment \(owner)" } else {
                    "was not made by this server"
                }
            throw DeployerError(
                .instanceFailed, "the container \(instance.id) on \(host) \(whose)", hint: "remove it there, or deploy again")
        }
        return found.state.status != "removing"
    }

    /// Starts a container that was only made so far; by its id, so that it can only be the one that was seen. False when it is gone.
    private func run(_ id: String, of instance: InstanceSpec, _ api: DockerAPI, _ claim: Claim) async throws -> Bool {
        guard let found = try await inspect(id, api) else { return false }
        guard ["created", "configured", "initialized"].contains(found.state.status) else { return true }
        let answer = try await acting(claim, api) { notAfter in
            try await api.ask(.POST, "/containers/\(id)/start", timeout: .seconds(60), expecting: [404], notAfter: notAfter)
        }
        return answer.status != 404
    }

    /// SIGTERM, SIGKILL after `grace`, and gone: container, log and anonymous volumes.
    func remove(_ container: DockerValues.Container, _ api: DockerAPI, _ grace: Duration, _ claim: Claim?) async throws {
        if ["running", "paused", "restarting"].contains(container.state.status) {
            let seconds = max(0, Int(grace.components.seconds) + (grace.components.attoseconds > 0 ? 1 : 0))
            _ = try await acting(claim, api) { notAfter in
                try await api.ask(
                    .POST, "/containers/\(container.id)/stop", query: [("t", String(seconds))], timeout: .seconds(seconds + 60),
                    expecting: [404], notAfter: notAfter)
            }
        }
        _ = try await acting(claim, api) { notAfter in try await self.delete(container.id, api, force: true, notAfter: notAfter) }
        // The daemon may answer before it is done when somebody else asked too.
        for _ in 0..<100 {
            guard try await inspect(container.id, api) != nil else { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw DeployerError(
            .busy, "the container \(container.name.drop { $0 == "/" }) on \(api.host) is being removed for more than 10 s",
            hint: "see the daemon's log on that host")
    }

    @discardableResult
    private func delete(_ id: String, _ api: DockerAPI, force: Bool, notAfter: ContinuousClock.Instant?) async throws -> Bool? {
        // 409: somebody else is about it, or it runs and is not to be forced.
        try await api.ask(
            .DELETE, "/containers/\(id)", query: [("force", force ? "1" : "0"), ("v", "1")], timeout: .seconds(60), expecting: [404, 409],
            notAfter: notAfter
        ).map { _ in true }
    }

    /// The same rules as on this machine: see `HostTarget+Spec`.
    private func container(
        _ instance: InstanceSpec, _ image: (reference: String, config: DockerValues.Image.Config), on host: DockerHost
    ) throws -> DockerValues.CreateContainer {
        let arguments = try instance.arguments(entrypoint: image.config.entrypoint, command: image.config.cmd)
        let ports = (instance.job == nil ? instance.ports : []).map { "\($0)/tcp" }
        let limits = instance.service.limits
        let isolation = instance.isolation
        let environment = instance.environment(image: image.config.env ?? [])
        let labels = instance.labels.merging([Self.ownerLabel: settings.owner]) { ours, _ in ours }
        return DockerValues.CreateContainer(
            image: image.reference, entrypoint: Array(arguments.prefix(1)), cmd: Array(arguments.dropFirst()), env: environment,
            hostname: instance.id, labels: labels, exposedPorts: Dictionary(uniqueKeysWithValues: ports.map { ($0, .init()) }),
            hostConfig: .init(
                readonlyRootfs: isolation.readOnly, tmpfs: Self.memory(isolation), capAdd: instance.capabilities, memory: limits.memoryBytes,
                memorySwap: limits.memoryBytes, nanoCpus: limits.cpus.map { Int64($0 * 1e9) },
                pidsLimit: limits.pids,
                portBindings: host.address.map { address in
                    Dictionary(uniqueKeysWithValues: ports.map { ($0, [.init(hostIP: address, hostPort: "")]) })
                } ?? [:]))
    }

    /// Options of mount(8) by folder.
    private static func memory(_ isolation: Isolation) -> [String: String] {
        let forAll = "rw,nosuid,nodev,mode=1777"
        let usual = isolation.readOnly ? ["/tmp": forAll, "/run": "rw,nosuid,nodev,mode=755"] : [:]
        return isolation.tmpfs.reduce(into: usual) { $0[$1] = forAll }
    }
}
