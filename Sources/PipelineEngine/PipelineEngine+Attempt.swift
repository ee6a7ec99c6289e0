import ContainerRuntime
import DeliveryModel
import Foundation
import PipelineFile
import StateStore
import SystemPackage

extension PipelineEngine {
    static let attemptLabel = "slipway.attempt"

    /// Starts a step's attempt, or finds it, and waits for its end. The time it gets counts from its container's start, by
    /// the kernel's time since boot: no clock that is set changes it.
    func attend(_ name: String, _ job: RunJob, _ progress: RunProgress, isNew: Bool) async throws -> StepEnd {
        guard let plan = job.plan?.steps.first(where: { $0.name == name }), let step = progress.steps.first(where: { $0.name == name })
        else { return .refused("the plan has no such step") }
        let container = Self.container(run: job.run.id, step: step.name)
        var observed = isNew ? nil : try await containers.observe(container)
        if let left = observed, left.labels[Self.attemptLabel] ?? "1" != "\(step.attempt)" {
            try await putAside(step, job.run)
            observed = nil
        }
        // A start that was cut off is begun again.
        if case .created = observed?.state { observed = nil }
        if observed == nil {
            let spec = try await containerSpec(container, plan, attempt: step.attempt, job.run, workspace: job.files.tree)
            observed = try await containers.start(spec)
        }
        // Its end counts, also when nobody was there to see it in time.
        if case .exited(let exit) = observed?.state { return Self.end(exit, timeout: plan.timeout) }
        let remaining = .seconds(plan.timeout) - (observed?.age ?? .zero)
        let exit = try await waitForExit(container, atMost: max(.zero, remaining))
        if exit == nil { try await containers.stop(container, grace: .zero) }
        return Self.end(exit, timeout: plan.timeout)
    }

    private static func end(_ exit: ExitStatus?, timeout: Double) -> StepEnd {
        guard let exit else {
            return .failed(exitCode: nil, message: "timed out after \(timeout.formatted()) s; raise 'timeout' of the step")
        }
        if exit.outOfMemory {
            return .failed(exitCode: Int(exit.code), message: "ran out of memory; raise 'limits.memory' of the step")
        }
        if exit == .lost { return .lost("its container was lost (did the machine restart, or was its disk full?); run it again") }
        return exit.code == 0 ? .succeeded : .failed(exitCode: Int(exit.code), message: "exit code \(exit.code)")
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

    /// Removes the container of the attempt that failed before; its lines are kept, with one that says so. Safe to repeat
    /// at any line.
    private func putAside(_ step: StepProgress, _ run: Run) async throws {
        let log = keptLog(run: run.id, step: step.name)
        let marker = "--- \(step.message ?? "attempt \(step.attempt - 1) failed"); trying again ---"
        try await containers.acting {
            try FileSystem.keep(parts.runtime.logFile(Self.container(run: run.id, step: step.name)), as: log)
            if try await LogReader(file: log).tail(1).last?.text != marker {
                try FileSystem.append("\(Date.now.formatted(.iso8601)) stdout F \(marker)\n", to: log)
            }
        }
        try await discardContainer(run: run.id, step: step.name)
    }
}
