import ContainerRuntime
import DeliveryModel
import Foundation
import PipelineFile
import StateStore
import SystemPackage

extension PipelineEngine {
    static let attemptLabel = "slipway.attempt"

    /// Starts the step's present attempt, or finds it, and waits for its end. The time it gets counts from its container's
    /// start, by the kernel's time since boot: no clock that is set changes it.
    func attempt(_ step: Step, _ plan: StepPlan, _ run: Run, workspace: FilePath) async throws -> StepChange {
        let container = Self.container(run: run.id, step: step.name)
        var observed = step.state == .running ? try await parts.runtime.observe(container) : nil
        if let left = observed, left.labels[Self.attemptLabel] ?? "1" != "\(step.attempt)" {
            try await discardContainer(run: run.id, step: step.name)
            observed = nil
        }
        // A start that was cut off is begun again.
        if case .created = observed?.state { observed = nil }
        if observed == nil {
            let spec = try await containerSpec(container, step, plan, run, workspace: workspace)
            if step.state == .waiting { try await record(.init(.running), step.name, run) }
            observed = try await parts.runtime.start(spec)
        }
        // Its end counts, also when nobody was there to see it in time.
        if case .exited(let exit) = observed?.state { return Self.outcome(exit, timeout: plan.timeout) }
        let remaining = .seconds(plan.timeout) - (observed?.age ?? .zero)
        let exit = try await waitForExit(container, atMost: max(.zero, remaining))
        if exit == nil { try await parts.runtime.stop(container, grace: .zero) }
        return Self.outcome(exit, timeout: plan.timeout)
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

    /// Keeps the failed attempt's lines with one that says so, then counts the next attempt. Safe to repeat at any line:
    /// until it is counted, the old container is found again and leads here again.
    func prepareRetry(of step: Step, _ plan: StepPlan, _ run: Run, after reason: String) async throws {
        let message = "attempt \(step.attempt) of \(plan.retries + 1) failed: \(reason)"
        let log = keptLog(run: run.id, step: step.name)
        try FileSystem.keep(parts.runtime.logFile(Self.container(run: run.id, step: step.name)), as: log)
        let marker = "--- \(message); trying again ---"
        if try await LogReader(file: log).tail(1).last?.text != marker {
            try FileSystem.append("\(Date.now.formatted(.iso8601)) stdout F \(marker)\n", to: log)
        }
        let isOurs = try await parts.store.retryStep(
            step.name, ofRun: run.id, epoch: run.epoch, after: step.attempt, message: message)
        guard isOurs else { throw LeaseLost() }
        bell.ring()
        try await discardContainer(run: run.id, step: step.name)
    }
}
