public import ContainerRuntime
public import ImageStore

extension HostTarget {
    /// Containers whose layers are snapshots of the images in the store; the image must be in the store already.
    public init(runtime: ContainerRuntime, snapshots: Snapshots, units: InstanceUnits? = nil) {
        self.init(runtime: runtime, units: units) { digest in
            let image = try await snapshots.prepare(digest)
            return Image(config: image.config, layers: image.layers)
        }
    }
}
