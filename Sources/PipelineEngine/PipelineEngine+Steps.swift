import ContainerRuntime
import DeliveryModel
import Foundation
import ImageStore
import OCIModel
import PipelineFile
import StateStore
import SystemPackage

extension PipelineEngine {
    static let workspaceMount = "/workspace"

    /// Removes a step's container with everything in it; its log is kept with the run.
    func discardContainer(run: Int64, step: String) async throws {
        let container = Self.container(run: run, step: step)
        // One that is half made, or half removed, has no end to wait for.
        if try await containers.observe(container)?.state == .running {
            try await containers.stop(container, grace: .zero)
        }
        try await containers.acting {
            try FileSystem.keep(parts.runtime.logFile(container), as: keptLog(run: run, step: step))
        }
        try await containers.remove(container)
    }

    func containerSpec(
        _ id: String, _ plan: StepPlan, attempt: Int, _ run: Run, workspace: FilePath
    ) async throws -> ContainerSpec {
        let digest = try await localImage(plan.image, for: "step '\(plan.name)'", of: run)
        let image = try await parts.snapshots.prepare(digest)
        var environment = [
            "CI": "true", "SLIPWAY_PROJECT": run.project, "SLIPWAY_PIPELINE": run.pipeline,
            "SLIPWAY_RUN": "\(run.id)", "SLIPWAY_COMMIT": run.commit, "SLIPWAY_BRANCH": run.branch ?? "",
            "SLIPWAY_EVENT": run.event, "SLIPWAY_STEP": plan.name, "SLIPWAY_ATTEMPT": "\(attempt)", "HOME": "/root",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        for pair in image.config.config?.env ?? [] {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { environment[String(parts[0])] = String(parts[1]) }
        }
        environment.merge(try await untilAnswered { try await resolve(plan.environment, project: run.project) }) { $1 }
        return ContainerSpec(
            id: id, layers: image.layers.map(\.string),
            arguments: ["/bin/sh", "-e", "-c", Self.script(plan.commands)],
            environment: environment.map { "\($0)=\($1)" }.sorted(), workingDirectory: Self.workspaceMount,
            user: "", mounts: [.init(source: workspace.string, destination: Self.workspaceMount)],
            limits: .init(
                memoryBytes: plan.limits.memoryBytes, cpus: plan.limits.cpus, pids: plan.limits.pids ?? 4096),
            readOnlyRoot: false, network: settings.stepNetwork,
            labels: [Self.runLabel: "\(run.id)", Self.stepLabel: plan.name, Self.attemptLabel: "\(attempt)"],
            hostname: plan.name, capabilities: ContainerSpec.stepCapabilities,
            continuedLog: attempt > 1 ? keptLog(run: run.id, step: plan.name).string : nil)
    }

    /// The commands one after the other, each printed before it runs; the first that fails ends the step.
    static func script(_ commands: [String]) -> String {
        commands.map { command in
            let quoted = "+ \(command)".replacing("'", with: "'\\''")
            return "printf '%s\\n' '\(quoted)'\n\(command)"
        }.joined(separator: "\n")
    }

    /// Environment values with secrets opened. The values go nowhere but into the container that names them.
    func resolve(_ values: [String: Value], project: String) async throws -> [String: String] {
        var resolved: [String: String] = [:]
        let sealed: [String: [UInt8]] =
            values.values.contains { if case .secret = $0 { true } else { false } }
            ? try await parts.store.secrets(project: project) : [:]
        for (name, value) in values {
            switch value {
            case .literal(let text): resolved[name] = text
            case .secret(let secret):
                guard let bytes = sealed[secret] else {
                    throw EngineError(
                        .secretMissing, "the secret '\(secret)' for \(name) is not set",
                        hint: "set it with: slipway secret set \(secret) --project \(project)")
                }
                resolved[name] = try parts.secrets.open(bytes, context: "\(project)/\(secret)")
            }
        }
        return resolved
    }
}
