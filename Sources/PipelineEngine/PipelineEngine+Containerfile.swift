import ContainerRuntime
import ContainerfileBuild
import DeliveryModel
import Foundation
import OCIModel
import PipelineFile
public import StateStore
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
    /// What a build from a Containerfile is called among the steps. No step of a pipeline has a capital letter in its name.
    static let buildStep = "Containerfile"

    /// The steps of a run as people see them: those of its pipeline, then the build of its Containerfile, which has a log too.
    public func shownSteps(of run: Run) async throws -> [Step] {
        let steps = try await parts.store.steps(of: run.id)
        guard let text = run.plan, let build = try OCIJSON.decode(PipelinePlan.self, from: Array(text.utf8)).build,
            let containerfile = build.containerfile
        else { return steps }
        let depended = Set(steps.flatMap(\.dependsOn))
        let log = keptLog(run: run.id, step: Self.buildStep)
        let isBuilding = run.phase == .build && !run.state.isTerminal
        let state: StepState =
            switch (run.digest, run.state) {
            case (.some, _): .succeeded
            case (_, .cancelled): .cancelled
            case (_, .failed), (_, .invalid): run.phase == .build ? .failed : .skipped
            default: isBuilding ? .running : .waiting
            }
        return steps + [
            Step(
                run: run.id, ordinal: steps.count, name: Self.buildStep, image: containerfile.file,
                dependsOn: steps.map(\.name).filter { !depended.contains($0) }, state: state,
                startedAt: try await LogReader(file: log).lines(from: 0, limit: 1).first.flatMap { seconds($0.time) },
                finishedAt: isBuilding ? nil : LogFile(log).modified)
        ]
    }

    private func seconds(_ time: String) -> Double? { try? Date(time, strategy: .iso8601).timeIntervalSince1970 }

    func buildImage(
        _ run: Run, _ plan: BuildPlan, _ containerfile: ContainerfilePlan, workspace: FilePath
    ) async throws -> Digest {
        var labels = plan.labels
        labels.merge(["org.opencontainers.image.revision": run.commit]) { given, _ in given }
        let named = Dictionary(containerfile.secrets.map { ($0, Value.secret($0)) }) { first, _ in first }
        let secrets = try await untilAnswered { try await resolve(named, project: run.project) }
        let request = ContainerfileBuildRequest(
            containerfile: workspace.pushing(FilePath(containerfile.file)), context: workspace, target: containerfile.target,
            arguments: containerfile.arguments, secrets: secrets.mapValues { Array($0.utf8) }, labels: labels,
            annotations: ["org.opencontainers.image.revision": run.commit], timestamp: run.commitTime,
            network: settings.stepNetwork == .none ? .none : .bridge)
        let log = try await containers.acting { try BuildLog(file: keptLog(run: run.id, step: Self.buildStep)) }
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

/// Writes what a build does in the form of a step's log, and keeps the last lines for whoever asks why it failed.
private actor BuildLog {
    private let file: FileDescriptor
    private var last: [String] = []

    /// A new file: an earlier build that still writes has the old one, which nobody sees any more.
    init(file path: FilePath) throws {
        try FileSystem.makeFolder(path.removingLastComponent())
        try FileSystem.remove(path)
        file = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec], permissions: [.ownerReadWrite, .groupRead, .otherRead])
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
    private func write(_ text: String) {
        let time = Date.now.formatted(.iso8601)
        let entries = text.split(separator: "\n", omittingEmptySubsequences: false).map { "\(time) stdout F \($0)\n" }
        _ = try? file.writeAll(Array(entries.joined().utf8))
    }

    func explained(_ failure: String) -> String {
        last.isEmpty ? failure : "\(failure)\n\(last.joined(separator: "\n"))"
    }

    func close() { try? file.close() }

    private func name(_ step: BuildStep) -> String { "[\(step.stage) \(step.number)/\(step.count)]" }
}
