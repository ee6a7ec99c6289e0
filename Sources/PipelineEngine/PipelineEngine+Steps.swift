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
    func runSteps(_ run: Run, _ plan: PipelinePlan, workspace: FilePath) async throws {
        let plans = Dictionary(plan.steps.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let recorded = try await untilAnswered { try await parts.store.steps(of: run.id) }
        var states = Dictionary(recorded.map { ($0.name, $0.state) }, uniquingKeysWith: { first, _ in first })
        for step in recorded where step.state.isTerminal && step.startedAt != nil {
            try await discardContainer(run: run.id, step: step.name)
        }
        try await withThrowingTaskGroup(of: (String, StepState).self) { group in
            var started: Set<String> = []
            func startReady() async throws {
                for step in recorded where !started.contains(step.name) && states[step.name]?.isTerminal == false {
                    guard let plan = plans[step.name] else { continue }
                    let needs = step.dependsOn.map { states[$0] ?? .succeeded }
                    if needs.contains(where: { $0.isTerminal && $0 != .succeeded }) {
                        states[step.name] = .skipped
                        try await record(.init(.skipped), step.name, run)
                        try await startReady()
                        return
                    }
                    if needs.allSatisfy({ $0 == .succeeded }) {
                        started.insert(step.name)
                        group.addTask { (step.name, try await runStep(step, plan, run, workspace: workspace)) }
                    }
                }
            }
            try await startReady()
            while let (name, state) = try await group.next() {
                states[name] = state
                try await startReady()
            }
        }
        if let failed = recorded.first(where: { states[$0.name] == .failed }) {
            let message = try await untilAnswered { try await parts.store.steps(of: run.id) }.first { $0.name == failed.name }?.message
            throw RunFailed(reason: "step '\(failed.name)' failed" + (message.map { ": \($0)" } ?? ""))
        }
    }

    private func record(_ change: StepChange, _ step: String, _ run: Run) async throws {
        guard try await untilAnswered({ try await parts.store.setStep(step, ofRun: run.id, epoch: run.epoch, to: change) }) else {
            throw LeaseLost()
        }
        bell.ring()
    }

    /// Carries one step to its end. A step that was running before a restart is re-attached, not started again.
    private func runStep(_ step: Step, _ plan: StepPlan, _ run: Run, workspace: FilePath) async throws -> StepState {
        let container = Self.container(run: run.id, step: step.name)
        do {
            var observed = step.state == .running ? try await parts.runtime.observe(container) : nil
            if observed == nil {
                let spec = try await containerSpec(container, plan, run, workspace: workspace)
                if step.state == .waiting { try await record(.init(.running), step.name, run) }
                observed = try await parts.runtime.start(spec)
            }
            let begun = observed?.startedAt ?? Date.now
            let remaining = plan.timeout - Date.now.timeIntervalSince(begun)
            let exit = try await waitForExit(container, atMost: .seconds(max(0, remaining)))
            let change = Self.outcome(exit, timeout: plan.timeout)
            // Recorded before its container goes: a server killed in between must not run the step again.
            if exit == nil { try await parts.runtime.stop(container, grace: .zero) }
            try await record(change, step.name, run)
            try await discardContainer(run: run.id, step: step.name)
            return change.state
        } catch is CancellationError {
            throw CancellationError()
        } catch let error as LeaseLost {
            throw error
        } catch let error as StateError where error.code == .unavailable {
            throw error
        } catch {
            try await record(.init(.failed, message: "\(error)"), step.name, run)
            try await discardContainer(run: run.id, step: step.name)
            return .failed
        }
    }

    private static func outcome(_ exit: ExitStatus?, timeout: Double) -> StepChange {
        guard let exit else {
            return StepChange(.failed, message: "timed out after \(timeout.formatted()) s; raise 'timeout' of the step")
        }
        if exit.outOfMemory {
            return StepChange(
                .failed, exitCode: Int(exit.code), message: "ran out of memory; raise 'limits.memory' of the step")
        }
        if exit == .lost {
            return StepChange(.failed, message: "its container was lost (did the machine restart?); run it again")
        }
        if exit.code != 0 {
            return StepChange(.failed, exitCode: Int(exit.code), message: "exit code \(exit.code)")
        }
        return StepChange(.succeeded, exitCode: 0)
    }

    /// The exit status, or nil when the time is over first.
    private func waitForExit(_ container: String, atMost limit: Duration) async throws -> ExitStatus? {
        try await withThrowingTaskGroup(of: ExitStatus?.self) { group in
            group.addTask { try await parts.runtime.waitForExit(container) }
            group.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
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

    private func containerSpec(
        _ id: String, _ plan: StepPlan, _ run: Run, workspace: FilePath
    ) async throws
        -> ContainerSpec
    {
        let digest = try await localImage(plan.image, for: "step '\(plan.name)'", of: run)
        let image = try await parts.snapshots.prepare(digest)
        var environment = [
            "CI": "true", "SLIPWAY_PROJECT": run.project, "SLIPWAY_PIPELINE": run.pipeline,
            "SLIPWAY_RUN": "\(run.id)", "SLIPWAY_COMMIT": run.commit, "SLIPWAY_BRANCH": run.branch ?? "",
            "SLIPWAY_EVENT": run.event, "SLIPWAY_STEP": plan.name, "HOME": "/root",
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
            labels: [Self.runLabel: "\(run.id)", "slipway.step": plan.name], hostname: plan.name,
            capabilities: ContainerSpec.stepCapabilities)
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
