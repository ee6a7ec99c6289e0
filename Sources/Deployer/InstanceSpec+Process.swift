import ContainerRuntime
import DeliveryModel
import OCIModel

/// What an instance is in every target that runs containers: the image's own settings, with those of service and stage on top.
extension InstanceSpec {
    /// Whose it is: the name of a deployment, or of a job.
    public static let deploymentLabel = "slipway.deployment"
    static let replicaLabel = "slipway.replica"
    static let portLabel = "slipway.port"
    static let healthPortLabel = "slipway.health-port"
    static let jobLabel = "slipway.job"

    /// The program and its arguments: the image's entrypoint, then the service's command or the image's.
    func arguments(entrypoint: [String]?, command: [String]?) throws(DeployerError) -> [String] {
        let arguments = (job == nil ? entrypoint ?? [] : []) + (service.command ?? command ?? [])
        guard let program = arguments.first, !program.isEmpty else {
            throw DeployerError(
                .instanceFailed, "the image \(image.short) has no entrypoint and the service no command",
                hint: "set `entrypoint` under build, or `command` under service")
        }
        return arguments
    }

    /// `K=V`, later sources win: the image, the service, the stage. The image's order first, then names in order.
    func environment(image: [String]) -> [String] {
        let ours = service.environment.merging(environment) { _, last in last }
        let kept = image.filter { entry in ours[String(entry.prefix { $0 != "=" })] == nil }
        return kept + ours.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }

    /// By which a container is found again, and told from those of others.
    var labels: [String: String] {
        var labels = [
            "slipway.project": project, "slipway.stage": stage, Self.deploymentLabel: deployment, Self.replicaLabel: String(replica),
            "slipway.image": image.description,
        ]
        if let job {
            labels[Self.jobLabel] = job
        } else {
            labels[Self.portLabel] = service.port.map(String.init)
            labels[Self.healthPortLabel] = healthPort.map(String.init)
        }
        return labels
    }

    /// The port of the TCP probe.
    var healthPort: Int? {
        if case .tcp(let port) = service.health.probe { return port }
        return nil
    }

    /// All ports on which it is reached.
    var ports: Set<Int> { Set([service.port, healthPort].compactMap { $0 }) }

    var isolation: Isolation { service.isolation ?? Isolation() }

    /// Enough to listen on port 80, and what the service asks for.
    var capabilities: [String] {
        let usual = ContainerSpec.instanceCapabilities
        return usual + isolation.capabilities.filter { !usual.contains($0) }
    }
}
