import BlockingQueue
import ContainerRuntime
import ContainerfileBuild
import ImageStore
import OCIModel
import PipelineEngine
import RegistryClient
import SystemPackage

/// The images a Containerfile names, for commands: from the store, or pulled from the registry they name.
struct CommandImages: BaseImages {
    let store: ImageStore
    let registries: OutsideRegistries

    func digest(of image: String, platform: Platform) async throws -> Digest {
        let reference = try ImageReference(parsing: image)
        guard reference.registry != nil else {
            if let found = try await store.resolve(reference) { return found.digest }
            throw Failure(
                "the image \(image) is not in the store",
                hint: "import it with: slipway image import FILE \(image), or name its registry: docker.io/library/\(image)")
        }
        // A digest that is here needs nobody.
        if let digest = reference.digest, try store.size(of: digest) != nil { return digest }
        return try await registries.pull(reference, into: store)
    }
}

extension ContainerfileBuilder {
    /// A builder over a data directory, whose containers are apart from the server's.
    /// - Parameter allowsPrivate: whether `ADD` may fetch from this machine and private networks.
    init(
        store: ImageStore, folder: FilePath, images: any BaseImages, connections: RegistryConnections, allowsPrivate: Bool,
        settings: RuntimeSettings = RuntimeSettings(), threads: Int? = nil
    ) {
        let builds = folder.appending("builds")
        self.init(
            store: store, snapshots: Snapshots(root: folder.appending("snapshots"), store: store),
            runtime: ContainerRuntime(root: builds.appending("containers"), settings: settings), folder: builds, images: images,
            files: HTTPFiles(connections: connections, allowsPrivate: allowsPrivate), repositories: GitFiles(folder: builds.appending("mirrors")),
            threads: threads)
    }
}
