import ContainerRuntime
import DeliveryModel
import OCIModel
import SystemPackage

extension HostTarget {
    /// The container of an instance: the image's own settings, with those of service and stage on top. The root cannot be
    /// written (`/tmp` and `/run` are in memory), and the only capability is to listen on low ports.
    static func spec(_ instance: InstanceSpec, _ image: Image) throws(DeployerError) -> ContainerSpec {
        let config = image.config.config
        let service = instance.service
        let arguments = (config?.entrypoint ?? []) + (service.command ?? config?.cmd ?? [])
        guard let program = arguments.first, !program.isEmpty else {
            throw DeployerError(
                .instanceFailed, "the image \(instance.image.short) has no entrypoint and the service no command",
                hint: "set `entrypoint` under build, or `command` under service")
        }
        return ContainerSpec(
            id: instance.id, layers: image.layers.map(\.string), arguments: arguments,
            environment: environment(config?.env ?? [], service.environment, instance.environment),
            workingDirectory: config?.workingDir ?? "", user: config?.user ?? "",
            limits: ContainerSpec.Limits(
                memoryBytes: service.limits.memoryBytes, cpus: service.limits.cpus, pids: service.limits.pids),
            readOnlyRoot: true, network: .bridge,
            labels: [
                "slipway.project": instance.project, "slipway.stage": instance.stage,
                deploymentLabel: instance.deployment, replicaLabel: String(instance.replica),
                portLabel: String(service.port), "slipway.image": instance.image.description,
            ],
            hostname: instance.id, capabilities: ContainerSpec.instanceCapabilities)
    }

    /// `K=V`, later sources win; the image's order first, then names in order.
    static func environment(_ image: [String], _ service: [String: String], _ stage: [String: String]) -> [String] {
        let ours = service.merging(stage) { _, last in last }
        let kept = image.filter { entry in ours[String(entry.prefix { $0 != "=" })] == nil }
        return kept + ours.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }
}
