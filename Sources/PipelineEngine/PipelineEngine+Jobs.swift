import ContainerRuntime
import DeliveryModel
import Deployer
import Foundation
import Logging
import StateStore
import SystemPackage

/// Jobs are rows of their own, each with a lease: whoever waits for one, a deployment say, looks at its row.
extension PipelineEngine {
    /// Claims jobs and carries each to its end beside the others.
    func workOnJobs() async {
        await carryClaims(of: "jobs", atMost: settings.concurrentJobs) {
            try await parts.store.claimJob(holder: settings.holder, leaseSeconds: settings.leaseSeconds)
        } carry: {
            await carry($0, asked: $1)
        }
    }

    private func carry(_ job: Job, asked: ContinuousClock.Instant) async {
        logger.info("job claimed", metadata: ["job": "\(job.id)", "name": "\(job.name)", "stage": "\(job.stage)", "state": "\(job.state)"])
        do {
            let claim = Claim(deployment: job.owner, epoch: job.epoch)
            try await holding(Fence(owner: claim.deployment, epoch: claim.epoch), asked: asked) {
                guard let target = try await untilAnswered({ try await self.order(ofJob: job, withSecrets: false) })?.target else { return }
                try await untilFree { try await parts.rollout.admit(claim, on: [target]) }
            } renew: {
                try await parts.store.renewJob(job.id, epoch: job.epoch, leaseSeconds: settings.leaseSeconds)
            } _: {
                try await attend(job)
            }
        } catch is LeaseLost {
            logger.warning("job \(job.id) is not ours any more: its lease is over, or another server has it")
        } catch is CancellationError {
        } catch let error as StateError where error.isOutage {
            trouble.began(error)
        } catch {
            logger.error("job \(job.id) is tried again: \(error)")
        }
        bell.ring()
    }

    /// The settings by which a job runs; nil when the release has lost its stage.
    private func order(ofJob job: Job, withSecrets: Bool) async throws -> RolloutOrder? {
        guard let deployment = try await parts.store.deployment(job.deployment) else { return nil }
        return try await order(for: deployment, withSecrets: withSecrets)
    }

    /// From whatever state a job is in to its end.
    private func attend(_ job: Job) async throws {
        var held = HeldJob(engine: self, row: job)
        let container: JobContainer
        do {
            guard let order = try await untilAnswered({ try await self.order(ofJob: job, withSecrets: false) }) else {
                return try await held.move(to: .failed, message: "the stage '\(job.stage)' is not in the release")
            }
            container = try parts.rollout.container(of: job.definition, owner: job.owner, epoch: job.epoch, as: order)
        } catch let error as DeployerError where job.state == .queued {
            return try await held.move(to: .failed, message: "\(error)")
        }
        while !held.row.state.isTerminal {
            switch held.row.state {
            case .queued: try await held.move(to: .starting)
            case .starting: try await begin(&held, container)
            case .running: try await watch(&held, container)
            case .stopping: try await stop(&held, container)
            case .succeeded, .failed, .cancelled, .skipped, .lost: break
            }
        }
        // What is cut off from here on is removed by the sweep.
        try await untilFree { try await container.remove(grace: .zero) }
        try await untilFree { try await container.dismiss() }
    }

    /// Only from this state is a container made: one that was seen and is gone is not made again.
    private func begin(_ held: inout HeldJob, _ container: JobContainer) async throws {
        if let actor = try await cancelled(held.row) {
            return try await held.move(to: .stopping, endsAs: .cancelled, message: "cancelled by \(actor)")
        }
        do {
            let row = held.row
            guard let order = try await untilAnswered({ try await self.order(ofJob: row, withSecrets: true) }) else {
                return try await held.move(to: .stopping, endsAs: .failed, message: "the stage '\(row.stage)' is not in the release")
            }
            try await untilFree { try await container.start(order) }
        } catch {
            try Self.throwUnlessOfTheRun(error)
            // It may have been started all the same.
            return try await held.move(to: .stopping, endsAs: .failed, message: "it could not be started: \(error)")
        }
        try await held.move(to: .running)
    }

    private func watch(_ held: inout HeldJob, _ container: JobContainer) async throws {
        let log = jobLog(held.row.id)
        let deadline = (held.row.startedAt ?? parts.clock()) + held.row.timeout
        var pause = Duration.milliseconds(20)
        while true {
            let state = try await container.state()
            try await container.collect(into: log)
            switch state {
            case nil: return try await held.move(to: .lost, message: "its container is gone, and nobody knows how it ended")
            case .exited(let code, let outOfMemory): return try await end(&held, code: code, outOfMemory: outOfMemory)
            case .created, .running: break
            }
            if let actor = try await cancelled(held.row) {
                return try await held.move(to: .stopping, endsAs: .cancelled, message: "cancelled by \(actor)")
            }
            if parts.clock() >= deadline {
                return try await held.move(
                    to: .stopping, endsAs: .failed, message: "timed out after \(held.row.timeout.formatted()) s; raise its timeout")
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(250))
        }
    }

    private func end(_ held: inout HeldJob, code: Int32, outOfMemory: Bool) async throws {
        if outOfMemory {
            try await held.move(to: .failed, exitCode: Int(code), message: "ran out of memory; raise its limits.memory")
        } else if code < 0 {
            try await held.move(to: .lost, message: "its container was lost (did the machine restart?)")
        } else {
            try await held.move(to: code == 0 ? .succeeded : .failed, exitCode: Int(code), message: code == 0 ? nil : "exit code \(code)")
        }
    }

    /// Why it ends is known by now, so that whoever goes on here after a crash starts nothing.
    private func stop(_ held: inout HeldJob, _ container: JobContainer) async throws {
        try await container.collect(into: jobLog(held.row.id))
        try await untilFree { try await container.remove(grace: .seconds(5)) }
        try await held.move(to: held.row.endsAs ?? .failed)
    }

    private func cancelled(_ job: Job) async throws -> String? {
        try await untilAnswered { try await parts.store.job(job.id) }?.cancelledBy
    }

    /// What a job has written, kept after its end.
    func jobLog(_ id: Int64) -> FilePath { jobsFolder.appending("\(id)\(LogFile.suffix)") }

    var jobsFolder: FilePath { settings.dataFolder.appending("jobs") }
}

/// A claimed job and where it is.
private struct HeldJob {
    let engine: PipelineEngine
    var row: Job

    mutating func move(
        to state: JobState, endsAs: JobState? = nil, exitCode: Int? = nil, message: String? = nil
    ) async throws {
        var change = JobChange(from: row.state, to: state, endsAs: endsAs, exitCode: exitCode, message: message)
        if state.isTerminal, state != .succeeded, row.state != .queued {
            change.logTail = try await engine.log(ofJob: row).tail(20).map(\.text).joined(separator: "\n")
        }
        let (id, epoch, engine, final) = (row.id, row.epoch, engine, change)
        guard try await engine.untilAnswered({ try await engine.parts.store.advanceJob(id, epoch: epoch, by: final) }),
            let now = try await engine.untilAnswered({ try await engine.parts.store.job(id) })
        else { throw LeaseLost() }
        row = now
        engine.logger.info("job advanced", metadata: ["job": "\(id)", "state": "\(state)", "message": "\(now.message ?? "")"])
        if state.isTerminal { engine.bell.ring() }
    }
}

extension Job {
    fileprivate var definition: ServiceJob { ServiceJob(name: name, command: command, timeout: timeout, limits: limits) }
}
