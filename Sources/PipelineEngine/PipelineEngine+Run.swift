import ContainerRuntime
import DeliveryModel
import FoundationEssentials
import GitRepository
import Logging
import OCIModel
import PipelineFile
import RegistryClient
import StateStore
import SystemPackage

/// The run is over without a release; the reason is for the user.
struct RunFailed: Error { var reason: String }

extension PipelineEngine {
    /// Claims one run and carries it to its end. Returns whether there was one.
    func workOnRun() async throws -> Bool {
        guard diskSpace.shortage() == nil else { return false }
        let asked = ContinuousClock.now
        guard
            let run = try await parts.store.claimRun(holder: settings.holder, leaseSeconds: settings.leaseSeconds)
        else { return false }
        logger.info("run claimed", metadata: ["run": "\(run.id)", "epoch": "\(run.epoch)", "phase": "\(run.phase)"])
        do {
            let rest = try await holding(Fence(owner: Self.owner(ofRun: run.id), epoch: run.epoch), asked: asked) {
                try await containers.takeOver()
            } renew: {
                try await parts.store.renewRun(run.id, epoch: run.epoch, leaseSeconds: settings.leaseSeconds)
            } _: {
                try await carryOut(run)
            }
            await tidyUp(after: run.id, rest)
        } catch is LeaseLost {
            logger.warning("run \(run.id) is not ours any more: its lease is over, or another server has it")
        }
        return true
    }

    /// What is left to do when a run is over; nobody holds it any more. Whoever is cut off here leaves it to the sweep.
    private struct Rest: Sendable {
        var state: RunState
        /// Steps whose containers may be there.
        var steps: Set<String>
    }

    private func tidyUp(after run: Int64, _ rest: Rest) async {
        await withTaskGroup(of: Void.self) { group in
            for step in rest.steps { group.addTask { await discard(step, ofRun: run) } }
        }
        await putAway(run, rest.state)
    }

    private func carryOut(_ claimed: Run) async throws -> Rest {
        let steps = try await untilAnswered { try await parts.store.steps(of: claimed.id) }
        let job = RunJob(claimed, files: workspace(of: claimed.id))
        var progress = RunProgress(claimed, steps, job, kept: Set(try job.files.batches().joined()))
        var event = try await firstEvent(job)
        while true {
            switch try await work(on: job, &progress, from: event) {
            case .over(let steps): return Rest(state: progress.state, steps: steps)
            case .stop(let steps):
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for step in steps {
                        group.addTask { try await discardContainer(run: claimed.id, step: step) }
                    }
                    try await group.waitForAll()
                }
                event = .stopped
            }
        }
    }

    /// How work on a claimed run begins.
    private func firstEvent(_ job: RunJob) async throws -> RunEvent {
        guard job.run.starts <= settings.startLimit else {
            return .trouble("the server ended \(settings.startLimit) times while it worked on this run (push again to try once more)")
        }
        if job.run.cancelRequested { return .cancelAsked(job.run.reasonOfCancellation) }
        guard job.plan != nil else { return .trouble("the run has no plan that this version can read") }
        do {
            if job.run.phase != .checkout {
                try await untilThereIsRoom { try await containers.acting { try await job.files.open() } }
            }
            return .takenUp
        } catch {
            try Self.throwUnlessOfTheRun(error)
            return .trouble("\(error)")
        }
    }

    /// What came of an effect.
    enum Outcome: Sendable {
        case event(RunEvent, LayerUploads? = nil)
        case discarded(String)
    }

    /// Until when effects are carried out.
    private enum Round {
        /// The run is over; the containers of these steps are still to be removed.
        case over(Set<String>)
        /// Whatever is under way has been left; the processes of these steps have to be ended.
        case stop([String])
    }

    /// Applies events and carries out what follows from them.
    private func work(on job: RunJob, _ progress: inout RunProgress, from first: RunEvent) async throws -> Round {
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            defer { group.cancelAll() }
            var discarding: Set<String> = []
            // What may begin only when nothing is being removed.
            var later: [RunEffect] = []
            var uploads: LayerUploads?
            func react(to event: RunEvent) async throws -> Round? {
                let (change, effects) = progress.apply(event)
                if !change.isEmpty { try await record(change, job, image: progress.image) }
                for effect in effects {
                    switch effect {
                    case .stop(let steps): return .stop(steps)
                    case .discard(let step):
                        discarding.insert(step)
                        if !progress.state.isTerminal { group.addTask { await discard(step, ofRun: job.run.id) } }
                    case .keep: later.append(effect)
                    default: begin(effect)
                    }
                }
                return progress.state.isTerminal ? .over(discarding) : nil
            }
            func begin(_ effect: RunEffect) {
                let (progress, uploads) = (progress, uploads)
                group.addTask { try await perform(effect, job, progress, uploads) }
            }
            if let end = try await react(to: first) { return end }
            group.addTask { .event(.cancelAsked(try await cancellation(of: job.run.id))) }
            while true {
                if discarding.isEmpty {
                    for effect in later { begin(effect) }
                    later = []
                }
                switch try await group.next() {
                case .event(let event, let made)?:
                    uploads = made ?? uploads
                    if let end = try await react(to: event) { return end }
                case .discarded(let step)?: discarding.remove(step)
                case nil: throw CancellationError()
                }
            }
        }
    }

    /// Waits until somebody asks for the run to be cancelled. Returns why.
    private func cancellation(of id: Int64) async throws -> String {
        while true {
            let heard = bell.count
            if let run = try await untilAnswered({ try await parts.store.run(id) }), run.cancelRequested {
                return run.reasonOfCancellation
            }
            await bell.wait(after: heard, atMost: .milliseconds(500))
            try Task.checkCancellation()
        }
    }

    /// Records a change, with the release of a run that ends well.
    private func record(_ change: RunChange, _ job: RunJob, image: Digest?) async throws {
        let release = change.end?.state == .succeeded ? try release(job, image) : nil
        let isOurs = try await untilAnswered {
            try await parts.store.advanceRun(job.run.id, epoch: job.run.epoch, by: change, release: release)
        }
        guard isOurs else { throw LeaseLost() }
        if let end = change.end {
            logger.info(
                "run finished", metadata: ["run": "\(job.run.id)", "state": "\(end.state)", "error": "\(end.error ?? "")"])
        }
        bell.ring()
    }

    /// What a run that succeeded produced to be delivered, if anything.
    private func release(_ job: RunJob, _ image: Digest?) throws -> NewRelease? {
        // What a pull request brings is built and tested, never delivered.
        guard let plan = job.plan, let service = plan.service, let build = plan.build, let image, !plan.stages.isEmpty,
            job.run.event != "pull_request"
        else { return nil }
        return NewRelease(
            image: try ImageReference(parsing: build.image).description, digest: image, service: service,
            stages: String(decoding: try OCIJSON.encode(plan.stages), as: UTF8.self),
            deployments: try plan.stages.filter { $0.after == nil && $0.promotesAtOnce }
                .map { try newDeployment(to: $0, of: service, kind: "automatic", by: "slipway") })
    }

    private func perform(
        _ effect: RunEffect, _ job: RunJob, _ progress: RunProgress, _ uploads: LayerUploads?
    ) async throws -> Outcome {
        do {
            return try await untilThereIsRoom { try await carryOut(effect, job, progress, uploads) }
        } catch {
            try Self.throwUnlessOfTheRun(error)
            return .event(try await failure(of: effect, job, error))
        }
    }

    /// What fails while the disk is full is not the run's fault: it is done again when there is room. Safe to repeat, as `body`
    /// has to be for servers that are killed.
    private func untilThereIsRoom<T>(_ body: () async throws -> T) async throws -> T {
        while true {
            do {
                return try await body()
            } catch {
                try Self.throwUnlessOfTheRun(error)
                guard diskSpace.shortage() != nil else { throw error }
                while diskSpace.shortage() != nil { try await Task.sleep(for: .seconds(1)) }
            }
        }
    }

    private func failure(of effect: RunEffect, _ job: RunJob, _ error: any Error) async throws -> RunEvent {
        let reason = (error as? RunFailed)?.reason ?? "\(error)"
        guard case .attend(let step, let attempt, _) = effect else { return .trouble(reason) }
        // Waits for a holder that was cut off in the middle of a start: nothing of a step may begin after its end.
        try await discardContainer(run: job.run.id, step: step)
        return .ended(step: step, attempt: attempt, .refused(reason))
    }

    private func carryOut(
        _ effect: RunEffect, _ job: RunJob, _ progress: RunProgress, _ uploads: LayerUploads?
    ) async throws -> Outcome {
        switch effect {
        case .checkOut:
            try await checkOut(job.run, to: job.files)
            return .event(.checkedOut)
        case .keep(let steps):
            try await containers.acting { try await job.files.close(batch: steps) }
            return .event(.kept)
        case .attend(let name, let attempt, let isNew):
            return .event(.ended(step: name, attempt: attempt, try await attend(name, job, progress, isNew: isNew)))
        case .build:
            let (image, uploads) = try await buildImage(job)
            return .event(.built(image), uploads)
        case .publish(let digest):
            try await publish(job, digest, ahead: uploads)
            return .event(.published)
        case .discard(let step): return await discard(step, ofRun: job.run.id)
        case .stop: return .event(.stopped)
        }
    }

    /// What is not the run's fault leaves it as it is: it is taken up again, here or elsewhere.
    static func throwUnlessOfTheRun(_ error: any Error) throws {
        if error is CancellationError || error is LeaseLost { throw error }
        if let error = error as? StateError, error.isOutage { throw error }
    }

    /// What cannot be removed now is removed by ``sweep()``.
    @discardableResult
    func discard(_ step: String, ofRun run: Int64) async -> Outcome {
        do { try await discardContainer(run: run, step: step) } catch  where !(error is CancellationError) {
            logger.warning("the container of step '\(step)' of run \(run) stays for now: \(error)")
        } catch {}
        return .discarded(step)
    }

    private func checkOut(_ run: Run, to files: RunWorkspace) async throws {
        try await checkOut(to: files, epoch: run.epoch) { staged in
            if try await takeOver(run, to: staged) { return }
            let commit = try CommitID(parsing: run.commit)
            try FileSystem.makeFolder(staged.tree)
            try await mirror(run.project).export(commit, to: staged.tree)
        }
    }
}

/// A claimed run with what its holder needs to work on it.
struct RunJob: Sendable {
    let run: Run
    /// Nil when this version cannot read it.
    let plan: PipelinePlan?
    let files: RunWorkspace

    init(_ run: Run, files: RunWorkspace) {
        self.run = run
        self.files = files
        plan = run.plan.flatMap { try? OCIJSON.decode(PipelinePlan.self, from: Array($0.utf8)) }
    }
}

extension RunProgress {
    fileprivate init(_ run: Run, _ steps: [Step], _ job: RunJob, kept: Set<String>) {
        let retries = Dictionary(job.plan?.steps.map { ($0.name, $0.retries) } ?? [], uniquingKeysWith: { first, _ in first })
        self.init(
            state: run.state, phase: run.phase, image: run.digest, failure: run.error,
            steps: steps.map {
                StepProgress(
                    $0.name, dependsOn: $0.dependsOn, retries: retries[$0.name] ?? 0, state: $0.state, attempt: $0.attempt,
                    message: $0.message, hasBegun: $0.startedAt != nil)
            },
            builds: job.plan?.build != nil,
            batch: Set(steps.filter { $0.startedAt != nil && !kept.contains($0.name) }.map(\.name)))
    }
}

extension Run {
    fileprivate var reasonOfCancellation: String { supersededBy.map { "superseded by run \($0)" } ?? "cancelled" }
}
