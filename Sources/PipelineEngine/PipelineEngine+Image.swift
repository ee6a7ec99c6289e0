import FoundationEssentials
import GitRepository
import ImageBuilder
import ImageStore
import Logging
import OCIModel
import PipelineFile
import RegistryClient
import StateStore
import SystemPackage

extension PipelineEngine {
    /// The digest of an image that is in the store afterwards: from the embedded registry, or pulled from the one named.
    func localImage(_ text: String, for purpose: String, of run: Run) async throws -> Digest {
        let reference = try ImageReference(parsing: text)
        guard let registry = reference.registry else {
            if let found = try await parts.images.resolve(reference) { return found.digest }
            throw EngineError(
                .imageMissing, "the image \(reference) for \(purpose) is not in the embedded registry",
                hint: "import it with: slipway image import FILE \(reference), or name its registry")
        }
        do {
            return try await patiently("pull of \(reference)", run) {
                try await parts.registries.pull(reference, into: parts.images)
            }
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            // A digest that is here already needs nobody.
            if let digest = reference.digest, try parts.images.size(of: digest) != nil { return digest }
            throw EngineError(
                .imageMissing, "the image \(reference) for \(purpose) cannot be had from \(registry): \(error)",
                hint: "check the reference, the registry and its credentials in slipway.yaml")
        }
    }

    /// - Parameter isAsCommitted: no step could write to the workspace: git knows what is in it, nobody need look.
    /// - Returns: and what was sent to its registry already.
    func buildImage(
        _ run: Run, _ plan: BuildPlan, workspace: FilePath, isAsCommitted: Bool
    ) async throws -> (Digest, LayerUploads?) {
        if let containerfile = plan.containerfile {
            return (try await buildImage(run, plan, containerfile, workspace: workspace), nil)
        }
        var base: Digest?
        if let name = plan.base { base = try await localImage(name, for: "build.base", of: run) }
        var labels = plan.labels
        labels.merge(["org.opencontainers.image.revision": run.commit]) { given, _ in given }
        let commit = try CommitID(parsing: run.commit)
        var copies: [BuildRequest.Copy] = []
        for copy in plan.copy {
            copies.append(
                BuildRequest.Copy(
                    source: workspace.appending(copy.from), destination: copy.to, mode: copy.mode,
                    identity: isAsCommitted ? try await mirror(run.project).identity(of: copy.from, at: commit) : nil))
        }
        let request = BuildRequest(
            base: base, copies: copies, context: workspace, entrypoint: plan.entrypoint, cmd: plan.cmd, environment: plan.environment,
            user: plan.user, workingDirectory: plan.workdir, ports: plan.ports, labels: labels,
            annotations: ["org.opencontainers.image.revision": run.commit], timestamp: run.commitTime,
            // The same files, the same layer, whatever the commit: the image as a whole carries its time.
            fileTimestamp: 0, platform: .current, baseName: plan.base, secrets: try await openSecrets(run.project))
        let uploads = try parts.registries.uploads(
            from: parts.images, to: try ImageReference(parsing: plan.image), base: try plan.base.map { try ImageReference(parsing: $0) })
        return (try await parts.builder.build(request, layers: uploads).manifest.digest, uploads)
    }

    /// Every secret of the project: any of them may have reached a step.
    private func openSecrets(_ project: String) async throws -> [String] {
        try await untilAnswered { try await parts.store.secrets(project: project) }.sorted { $0.key < $1.key }.map { name, sealed in
            try parts.secrets.open(sealed, context: "\(project)/\(name)")
        }
    }

    /// Makes the image known under its name: blobs first, manifest by digest, tag last.
    func publish(_ run: Run, _ digest: Digest, as reference: ImageReference, ahead: LayerUploads?) async throws {
        // A tag knows no epoch: nobody may be the last to set it whose run another server has finished.
        if settings.isShared {
            let isOurs = try await untilAnswered {
                try await parts.store.renewRun(run.id, epoch: run.epoch, leaseSeconds: settings.leaseSeconds)
            }
            guard isOurs else { throw LeaseLost() }
        }
        let tag = try reference.tag ?? Tag(parsing: String(run.commit.prefix(12)))
        // Kept here in any case, so that a registry that is down loses nothing.
        let lease = HeldLease.current
        try await parts.images.record(manifest: digest, mediaType: MediaType.ociManifest, in: reference.repository)
        try lease?.assertHeld()
        try await parts.images.tag(tag, as: digest, in: reference.repository)
        guard let registry = reference.registry else { return }
        let target = ImageReference(registry: registry, repository: reference.repository, tag: tag, digest: nil)
        do {
            try await patiently("push of \(target)", run) {
                try await parts.registries.push(digest, from: parts.images, to: target, ahead: ahead) { try lease?.assertHeld() }
            }
        } catch let error where !(error is CancellationError || error is LeaseLost) {
            throw EngineError(
                .registryUnreachable, "\(target) could not be pushed: \(error)",
                hint: "the image is kept here as \(reference.repository)@\(digest); once the registry answers,"
                    + " run again, or send it with: slipway image push")
        }
    }

    /// Repeats what a registry may refuse for a while. The client has tried a hiccup away; this is for one that is down.
    /// Each failure is an event of the run.
    private func patiently<T: Sendable>(_ task: String, _ run: Run, _ body: () async throws -> T) async throws -> T {
        var pause = settings.registryPause
        var attempt = 1
        while true {
            do {
                return try await body()
            } catch let error as EngineError
                where error.code == .registryUnreachable && attempt < settings.registryAttempts
            {
                let message = "\(task) failed (attempt \(attempt) of \(settings.registryAttempts)), trying again: \(error)"
                logger.warning("\(message)", metadata: ["run": "\(run.id)"])
                try await untilAnswered {
                    try await parts.store.record(
                        project: run.project, run: run.id, deployment: nil, actor: "slipway", message: message)
                }
                bell.ring()
                try await Task.sleep(for: pause * Double.random(in: 0.8...1.2))
                pause *= 2
                attempt += 1
            }
        }
    }
}
