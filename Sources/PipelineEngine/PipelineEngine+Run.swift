import DeliveryModel
import FoundationEssentials
import GitRepository
import Logging
import OCIModel
import PipelineFile
import RegistryClient
import StateStore
import SystemPackage

/// Somebody asked for the run to be cancelled.
private struct RunCancelled: Error {}

/// The run is over without a release; the reason is for the user.
struct RunFailed: Error { var reason: String }

extension PipelineEngine {
    /// Claims one run and carries it to its end. Returns whether there was one.
    func workOnRun() async throws -> Bool {
        guard diskSpace.shortage() == nil else { return false }
        guard
            let run = try await parts.store.claimRun(holder: settings.holder, leaseSeconds: settings.leaseSeconds)
        else { return false }
        let log = logger
        log.info("run claimed", metadata: ["run": "\(run.id)", "epoch": "\(run.epoch)", "phase": "\(run.phase)"])
        do {
            try await holding {
                try await parts.store.renewRun(run.id, epoch: run.epoch, leaseSeconds: settings.leaseSeconds)
            } _: {
                try await carryOut(run)
            }
        } catch is LeaseLost {
            log.warning("run \(run.id) is not ours any more: its lease is over, or another server has it")
        }
        return true
    }

    private func carryOut(_ run: Run) async throws {
        do {
            guard run.starts <= Self.startLimit else {
                throw RunFailed(reason: "the server ended \(Self.startLimit) times while it worked on this run (push again to try once more)")
            }
            guard let text = run.plan else { throw RunFailed(reason: "the run has no plan") }
            let plan = try OCIJSON.decode(PipelinePlan.self, from: Array(text.utf8))
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    try await execute(run, plan)
                    return true
                }
                group.addTask {
                    try await throwWhenCancelled(run.id)
                    return false
                }
                defer { group.cancelAll() }
                while let done = try await group.next(), !done {}
            }
        } catch is CancellationError {
            // The server stops: containers go on, the next start re-attaches.
            throw CancellationError()
        } catch let error as LeaseLost {
            throw error
        } catch let error as StateError where error.isOutage {
            // Not the run's fault: it is taken up again when its lease is over.
            throw error
        } catch is RunCancelled {
            try await stopSteps(of: run, as: .cancelled)
            let newer = try await parts.store.run(run.id)?.supersededBy
            try await finish(run, .cancelled, error: newer.map { "superseded by run \($0)" } ?? "cancelled")
        } catch let failure as RunFailed {
            try await stopSteps(of: run, as: .skipped)
            try await finish(run, .failed, error: failure.reason)
        } catch {
            try await stopSteps(of: run, as: .skipped)
            try await finish(run, .failed, error: "\(error)")
        }
    }

    private func throwWhenCancelled(_ run: Int64) async throws {
        while true {
            let heard = bell.count
            if try await untilAnswered({ try await parts.store.run(run) })?.cancelRequested ?? false { throw RunCancelled() }
            await bell.wait(after: heard, atMost: .milliseconds(500))
            try Task.checkCancellation()
        }
    }

    private func execute(_ run: Run, _ plan: PipelinePlan) async throws {
        let files = workspace(of: run.id)
        let workspace = files.tree
        if run.phase == .checkout {
            try await checkOut(run, to: files)
            try await enter(.steps, run)
        } else {
            try await files.open()
        }
        if run.phase == .checkout || run.phase == .steps {
            try await runSteps(run, plan, in: files)
            try await enter(.build, run)
        }
        guard let build = plan.build else {
            try await finish(run, .succeeded, error: nil)
            return
        }
        let reference = try ImageReference(parsing: build.image)
        var digest = run.digest
        var ahead: LayerUploads?
        if digest == nil || run.phase == .checkout || run.phase == .steps || run.phase == .build {
            let image: Digest
            (image, ahead) = try await buildImage(run, build, workspace: workspace, isAsCommitted: plan.steps.isEmpty)
            guard try await untilAnswered({ try await parts.store.setDigest(image, ofRun: run.id, epoch: run.epoch) }) else { throw LeaseLost() }
            digest = image
            try await enter(.push, run)
        }
        guard let digest else { throw RunFailed(reason: "the run's image was not recorded") }
        if run.phase != .release {
            try await publish(run, digest, as: reference, ahead: ahead)
            try await enter(.release, run)
        }
        try await release(run, plan, digest: digest, reference: reference)
    }

    private func enter(_ phase: RunPhase, _ run: Run) async throws {
        guard try await untilAnswered({ try await parts.store.setPhase(phase, ofRun: run.id, epoch: run.epoch) }) else { throw LeaseLost() }
    }

    private func checkOut(_ run: Run, to files: RunWorkspace) async throws {
        // What an interrupted checkout left is no good.
        try await files.remove()
        if try await takeOver(run, to: files) { return }
        let mirror = mirror(run.project)
        let commit = try CommitID(parsing: run.commit)
        try FileSystem.makeFolder(files.tree)
        try await mirror.export(commit, to: files.tree)
    }

    private func release(_ run: Run, _ plan: PipelinePlan, digest: Digest, reference: ImageReference) async throws {
        // What a pull request brings is built and tested, never delivered.
        guard let service = plan.service, !plan.stages.isEmpty, run.event != "pull_request" else {
            try await finish(run, .succeeded, error: nil)
            return
        }
        let stages = String(decoding: try OCIJSON.encode(plan.stages), as: UTF8.self)
        let release = NewRelease(image: reference.description, digest: digest, service: service, stages: stages)
        let first = plan.stages.filter { $0.after == nil }.map { newDeployment(to: $0, kind: "automatic", by: "slipway") }
        let done = try await untilAnswered {
            try await parts.store.finishRun(
                run.id, epoch: run.epoch, state: .succeeded, error: nil, release: release, deployments: first)
        }
        guard done else { throw LeaseLost() }
        bell.ring()
        await putAway(run.id, .succeeded)
    }

    private func finish(_ run: Run, _ state: RunState, error: String?) async throws {
        let done = try await untilAnswered {
            try await parts.store.finishRun(
                run.id, epoch: run.epoch, state: state, error: error, release: nil, deployments: [])
        }
        guard done else { throw LeaseLost() }
        logger.info("run finished", metadata: ["run": "\(run.id)", "state": "\(state)", "error": "\(error ?? "")"])
        bell.ring()
        await putAway(run.id, state)
    }

    /// Ends what still runs, all at once, and marks what never ran.
    private func stopSteps(of run: Run, as state: StepState) async throws {
        let steps = try await untilAnswered({ try await parts.store.steps(of: run.id) }).filter { !$0.state.isTerminal }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for step in steps where step.state == .running {
                group.addTask { try await discardContainer(run: run.id, step: step.name) }
            }
            try await group.waitForAll()
        }
        for step in steps {
            let change = StepChange(step.state == .running ? .cancelled : state)
            _ = try await untilAnswered { try await parts.store.setStep(step.name, ofRun: run.id, epoch: run.epoch, to: change) }
        }
    }
}
