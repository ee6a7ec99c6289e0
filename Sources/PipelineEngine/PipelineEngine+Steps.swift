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

    /// Runs the steps that are not over yet, each as soon as those it depends on have succeeded.
    func runSteps(_ run: Run, _ plan: PipelinePlan, in files: RunWorkspace) async throws {
        let plans = Dictionary(plan.steps.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let recorded = try await untilAnswered { try await parts.store.steps(of: run.id) }
        var states = Dictionary(recorded.map { ($0.name, $0.state) }, uniquingKeysWith: { first, _ in first })
        for step in recorded where step.state.isTerminal && step.startedAt != nil {
            try await discardContainer(run: run.id, step: step.name)
        }
        let closed = Set(try files.batches().joined())
        var batch = Set(recorded.filter { $0.startedAt != nil && !closed.contains($0.name) }.map(\.name))
        try await withThrowingTaskGroup(of: (String, StepState).self) { group in
            var running: Set<String> = []
            func startReady() async throws {
                var ready: [(Step, StepPlan)] = []
                for step in recorded where !running.contains(step.name) && states[step.name]?.isTerminal == false {
                    guard let plan = plans[step.name] else { continue }
                    let needs = step.dependsOn.map { states[$0] ?? .succeeded }
                    if needs.contains(where: { $0.isTerminal && $0 != .succeeded }) {
                        states[step.name] = .skipped
                        try await record(.init(.skipped), step.name, run)
                        try await startReady()
                        return
                    }
                    if needs.allSatisfy({ $0 == .succeeded }) { ready.append((step, plan)) }
                }
                // Nothing runs: what has succeeded so far can be kept apart from what comes.
                let isQuiet = running.isEmpty && !ready.isEmpty && ready.allSatisfy { $0.0.state == .waiting }
                if isQuiet, !batch.isEmpty, batch.allSatisfy({ states[$0] == .succeeded }) {
                    try await files.close(batch: batch.sorted())
                    batch = []
                }
                for (step, plan) in ready {
                    running.insert(step.name)
                    batch.insert(step.name)
                    group.addTask { (step.name, try await runStep(step, plan, run, workspace: files.tree)) }
                }
            }
            try await startReady()
            while let (name, state) = try await group.next() {
                running.remove(name)
                states[name] = state
                try await startReady()
            }
        }
        if let failed = recorded.first(where: { states[$0.name] == .failed }) {
            let message = try await untilAnswered { try await parts.store.steps(of: run.id) }.first { $0.name == failed.name }?.message
            throw RunFailed(reason: "step '\(failed.name)' failed" + (message.map { ": \($0)" } ?? ""))
        }
    }

    func record(_ change: StepChange, _ step: String, _ run: Run) async throws {
        guard try await untilAnswered({ try await parts.store.setStep(step, ofRun: run.id, epoch: run.epoch, to: change) }) else {
            throw LeaseLost()
        }
        bell.ring()
    }

    /// Carries one step to its end. A step that was running before a restart is re-attached, not started again.
    private func runStep(_ step: Step, _ plan: StepPlan, _ run: Run, workspace: FilePath) async throws -> StepState {
        var step = step
        do {
            while true {
                let change = try await attempt(step, plan, run, workspace: workspace)
                guard change.state == .failed, step.attempt <= plan.retries else {
                    // Recorded before its container goes: a server killed in between must not run the step again.
                    try await record(change, step.name, run)
                    try await discardContainer(run: run.id, step: step.name)
                    return change.state
                }
                try await prepareRetry(of: step, plan, run, after: change.message ?? "failed")
                step.state = .running
                step.attempt += 1
            }
        } catch is CancellationError {
            throw CancellationError()
        } catch let error as LeaseLost {
            throw error
        } catch let error as StateError where error.isOutage {
            throw error
        } catch {
            try await record(.init(.failed, message: "\(error)"), step.name, run)
            try await discardContainer(run: run.id, step: step.name)
            return .failed
        }
    }

    /// Removes a step's container with everything in it; its log is kept with the run.
    func discardContainer(run: Int64, step: String) async throws {
        let container = Self.container(run: run, step: step)
        if try await parts.runtime.observe(container) != nil {
            try await parts.runtime.stop(container, grace: .zero)
        }
        try FileSystem.keep(parts.runtime.logFile(container), as: keptLog(run: run, step: step))
        try await parts.runtime.remove(container)
    }

    func containerSpec(
        _ id: String, _ step: Step, _ plan: StepPlan, _ run: Run, workspace: FilePath
    ) async throws
        -> ContainerSpec
    {
        let digest = try await localImage(plan.image, for: "step '\(plan.name)'", of: run)
        let image = try await parts.snapshots.prepare(digest)
        var environment = [
            "CI": "true", "SLIPWAY_PROJECT": run.project, "SLIPWAY_PIPELINE": run.pipeline,
            "SLIPWAY_RUN": "\(run.id)", "SLIPWAY_COMMIT": run.commit, "SLIPWAY_BRANCH": run.branch ?? "",
            "SLIPWAY_EVENT": run.event, "SLIPWAY_STEP": plan.name, "SLIPWAY_ATTEMPT": "\(step.attempt)", "HOME": "/root",
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
            labels: [Self.runLabel: "\(run.id)", "slipway.step": plan.name, Self.attemptLabel: "\(step.attempt)"],
            hostname: plan.name, capabilities: ContainerSpec.stepCapabilities,
            continuedLog: step.attempt > 1 ? keptLog(run: run.id, step: step.name).string : nil)
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
