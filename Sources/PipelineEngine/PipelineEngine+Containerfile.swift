import ContainerRuntime
import ContainerfileBuild
import Foundation
import OCIModel
import PipelineFile
import StateStore
import SystemPackage

/// The images a Containerfile names, as any other image of a run.
private struct RunImages: BaseImages {
    let engine: PipelineEngine
    let run: Run

    func digest(of image: String, platform: Platform) async throws -> Digest {
        try await engine.localImage(image, for: "the Containerfile", of: run)
    }
}

extension PipelineEngine {
    /// The log of a build from a Containerfile, beside those of the steps.
    func buildLog(run: Int64) -> FilePath { runFolder(run).appending("image-build.log") }

    func buildImage(
        _ run: Run, _ plan: BuildPlan, _ containerfile: ContainerfilePlan, workspace: FilePath
    ) async throws -> Digest {
        var labels = plan.labels
        labels.merge(["org.opencontainers.image.revision": run.commit]) { given, _ in given }
        let secrets = try await resolve(
            Dictionary(containerfile.secrets.map { ($0, Value.secret($0)) }) { first, _ in first }, project: run.project)
        let request = ContainerfileBuildRequest(
            containerfile: workspace.pushing(FilePath(containerfile.file)), context: workspace, target: containerfile.target,
            arguments: containerfile.arguments, secrets: secrets.mapValues { Array($0.utf8) }, labels: labels,
            annotations: ["org.opencontainers.image.revision": run.commit], timestamp: run.commitTime,
            network: settings.stepNetwork == .none ? .none : .bridge)
        let log = try BuildLog(file: buildLog(run: run.id))
        do {
            let image = try await parts.containerfileBuilder(RunImages(engine: self, run: run)).build(request) { await log.add($0) }
            await log.close()
            return image.manifest.digest
        } catch {
            await log.close()
            if error is CancellationError { throw error }
            throw RunFailed(reason: await log.explained("\(error)"))
        }
    }
}

/// Writes what a build does, and keeps the last lines for whoever asks why it failed.
private actor BuildLog {
    private let file: FileDescriptor
    private var last: [String] = []

    init(file path: FilePath) throws {
        file = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: [.ownerReadWrite, .groupRead, .otherRead])
    }

    func add(_ event: BuildEvent) {
        switch event {
        case .warning(let text): write(text)
        case .started(let step):
            last = []
            write("\(name(step)) \(step.text)")
        case .output(let step, let line):
            last.append(line)
            if last.count > 20 { last.removeFirst() }
            write("\(name(step)) | \(line)")
        case .finished(let step, .cached, _): write("\(name(step)) from the cache")
        case .finished(let step, .done, let time): write("\(name(step)) done in \(time)")
        }
    }

    /// A log that cannot be written must not end the build: the image is what counts.
    private func write(_ line: String) { _ = try? file.writeAll(Array("\(line)\n".utf8)) }

    func explained(_ failure: String) -> String {
        last.isEmpty ? failure : "\(failure)\n\(last.joined(separator: "\n"))"
    }

    func close() { try? file.close() }

    private func name(_ step: BuildStep) -> String { "[\(step.stage) \(step.number)/\(step.count)]" }
}
