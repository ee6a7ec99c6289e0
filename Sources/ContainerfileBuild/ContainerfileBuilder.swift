import BlockingQueue
public import ContainerRuntime
import Containerfile
import FoundationEssentials
import Glibc
public import ImageStore
import OCIModel
public import SystemPackage

/// Builds images from Containerfiles, without a daemon: commands run in containers over the layers so far, what they
/// write becomes layers, and what was done before is not done again.
public struct ContainerfileBuilder: Sendable {
    struct Parts: Sendable {
        let store: ImageStore
        let snapshots: Snapshots
        let runtime: ContainerRuntime
        let folder: FilePath
        let images: any BaseImages
        let files: (any RemoteFiles)?
        let repositories: (any RemoteRepositories)?
        let threads: Int
        /// Where a build waits for another one's cache.
        let waiting = BlockingQueue(label: "containerfile-build.wait", width: 32)
    }

    let parts: Parts

    /// - Parameters:
    ///   - runtime: for this builder alone (several processes may share its root): builds that were killed are found
    ///     and removed by their containers' ids.
    ///   - folder: for the cache, the folders of `--mount=type=cache` and temporary files; made when missing.
    ///   - files, repositories: nil refuses the ADD of URLs, of git repositories.
    ///   - threads: how many compress (one per processor when nil); no digest depends on them.
    public init(
        store: ImageStore, snapshots: Snapshots, runtime: ContainerRuntime, folder: FilePath, images: any BaseImages,
        files: (any RemoteFiles)? = nil, repositories: (any RemoteRepositories)? = nil, threads: Int? = nil
    ) {
        parts = Parts(
            store: store, snapshots: snapshots, runtime: runtime, folder: folder, images: images, files: files,
            repositories: repositories, threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    }

    /// Builds and returns the image. Cancellation ends what runs and leaves nothing but the cache.
    ///
    /// Throws ``ContainerfileBuildError``, or `ContainerfileError` for mistakes in the file itself.
    public func build(
        _ request: ContainerfileBuildRequest, report: @escaping @Sendable (BuildEvent) async -> Void = { _ in }
    ) async throws -> ContainerfileImage {
        let place = try BuildPlace(parts)
        try await place.removeLeftovers()
        let result: Result<ContainerfileImage, any Error>
        do {
            let source = try await BuildSource.read(request, queue: parts.waiting)
            for warning in source.warnings { await report(.warning(warning)) }
            let session = BuildSession(
                request, parts: parts, id: place.id, context: source.context, temporary: place.temporary, report: report)
            result = .success(try await StageRunner(session: session, source: source).build())
        } catch {
            result = .failure(error)
        }
        try await place.close()
        return try result.get()
    }
}
