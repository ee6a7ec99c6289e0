import ContainerRuntime
import DeliveryModel
import OCIModel
import SystemPackage

extension HostTarget {
    /// The container of an instance: the image's own settings, with those of service and stage on top.
    static func spec(_ instance: InstanceSpec, _ image: Image) throws(DeployerError) -> ContainerSpec {
        let config = image.config.config
        let limits = instance.service.limits
        return ContainerSpec(
            id: instance.id, layers: image.layers.map(\.string),
            arguments: try instance.arguments(entrypoint: config?.entrypoint, command: config?.cmd),
            environment: instance.environment(image: config?.env ?? []),
            workingDirectory: config?.workingDir ?? "", user: config?.user ?? "",
            limits: ContainerSpec.Limits(memoryBytes: limits.memoryBytes, cpus: limits.cpus, pids: limits.pids),
            readOnlyRoot: instance.isolation.readOnly, network: .bridge, labels: instance.labels, hostname: instance.id,
            capabilities: instance.capabilities,
            memoryMounts: instance.isolation.tmpfs.map { ContainerSpec.MemoryMount(destination: $0) })
    }
}
