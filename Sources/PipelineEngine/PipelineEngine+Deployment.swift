import ContainerRuntime
import DeliveryModel
public import Deployer
import Logging
import OCIModel
public import PipelineFile
public import StateStore

extension PipelineEngine {
    /// Claims deployments and carries each to its end beside the others: one that waits for a person holds nobody up.
    func deploy() async {
        await carryClaims(of: "deployments", atMost: settings.concurrentDeployments) {
            let claimed = try await parts.store.claimDeployment(holder: settings.holder, leaseSeconds: settings.leaseSeconds)
            if let claimed { return claimed }
            for id in try await parts.store.expireApprovals() { logger.info("approval of deployment \(id) expired") }
            return nil
        } carry: {
            await carry($0, asked: $1)
        }
    }

    private func carry(_ deployment: Deployment, asked: ContinuousClock.Instant) async {
        logger.info(
            "deployment claimed",
            metadata: ["deployment": "\(deployment.id)", "stage": "\(deployment.stage)", "phase": "\(deployment.phase)"])
        do {
            let claim = Claim(deployment: deployment.name, epoch: deployment.epoch)
            try await holding(Fence(owner: claim.deployment, epoch: claim.epoch), asked: asked) {
                let names = try await untilAnswered { try await targets(of: deployment) }
                try await untilFree { try await parts.rollout.admit(claim, on: names) }
            } renew: {
                try await parts.store.renewDeployment(
                    deployment.id, epoch: deployment.epoch, leaseSeconds: settings.leaseSeconds)
            } _: {
                guard try await mayBegin(deployment) else { return }
                // It may have got a train.
                if let deployment = try await untilAnswered({ try await parts.store.deployment(deployment.id) }) {
                    try await carryOut(deployment)
                }
            }
        } catch is LeaseLost {
            logger.warning("deployment \(deployment.id) is not ours any more: its lease is over, or another server has it")
        } catch is CancellationError {
        } catch let error as StateError where error.isOutage {
            trouble.began(error)
        } catch {
            logger.error("deployment \(deployment.id): \(error)")
        }
        bell.ring()
    }

    private func carryOut(_ deployment: Deployment) async throws {
        var progress = try await untilAnswered { try await self.progress(of: deployment) }
        while let task = progress.task {
            var outcome: RolloutOutcome
            do {
                outcome = try await perform(task, deployment, progress)
            } catch let error as LeaseLost {
                throw error
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                // What cannot be tried gives way to the version that serves; past that point the same is tried again when the lease
                // has expired.
                var after = progress
                guard !((error as? StateError)?.isOutage ?? false), after.apply(.unfit("\(error)"), at: parts.clock()) else { throw error }
                outcome = RolloutOutcome(.unfit("\(error)"), "\(error)")
            }
            if case .job(let name, let moment) = task, !outcome.event.isEndOfJob { try await endJob(name, moment, of: deployment) }
            let before = progress
            guard progress.apply(outcome.event, at: parts.clock()) else { continue }
            if progress.phase.isLost, before.phase != .reverting, try await leaveTrain(deployment, outcome.message) {
                // The others have switched for good.
                progress = before
                outcome = RolloutOutcome(.waited(nil), "the train has gone: \(outcome.message)")
                guard progress.apply(outcome.event, at: parts.clock()) else { continue }
            }
            try await record(outcome, from: before.phase, progress, of: deployment)
        }
    }

    private func record(_ outcome: RolloutOutcome, from before: RolloutPhase, _ progress: RolloutProgress, of deployment: Deployment) async throws {
        var message = outcome.message
        // What follows must not hide why it goes back.
        if progress.waitsForTrain { message += "; waits for the others of its train" }
        if progress.phase.isTerminal, let ending = progress.ending, ending.reason != message { message = "\(ending.reason); \(message)" }
        var followers: [NewDeployment] = []
        let failed = progress.jobs?.failed ?? []
        if progress.phase == .succeeded, !failed.isEmpty { message = "the new instances serve; \(Self.failure(of: failed))" }
        if progress.phase == .succeeded, deployment.kind != "rollback", failed.isEmpty {
            followers = try await untilAnswered { try await self.followers(of: deployment) }
        }
        let change = DeploymentChange(
            from: before, to: progress.phase, rollout: String(decoding: try OCIJSON.encode(progress), as: UTF8.self), message: message,
            logTail: outcome.lastLogLines.isEmpty ? nil : outcome.lastLogLines.joined(separator: "\n"), followers: followers)
        let moved = try await untilAnswered {
            try await parts.store.advanceDeployment(deployment.id, epoch: deployment.epoch, by: change)
        }
        guard moved else { throw LeaseLost() }
        logger.info(
            "deployment advanced",
            metadata: ["deployment": "\(deployment.id)", "phase": "\(progress.phase)", "message": "\(message)"])
        bell.ring()
    }

    /// Where a deployment is. One that a server before this version began has no schedule yet.
    private func progress(of deployment: Deployment) async throws -> RolloutProgress {
        if let text = deployment.rollout { return try OCIJSON.decode(RolloutProgress.self, from: Array(text.utf8)) }
        guard deployment.phase != .queued else { return RolloutProgress() }
        let ending = deployment.phase == .reverting ? RolloutProgress.Ending(.reverted, deployment.message ?? "") : nil
        return RolloutProgress(phase: deployment.phase, schedule: try await schedule(of: deployment), since: parts.clock(), ending: ending)
    }

    private func schedule(of deployment: Deployment) async throws -> RolloutSchedule {
        guard let order = try await order(for: deployment, withSecrets: false) else { throw Self.gone(deployment) }
        let serving = try await previousOrder(of: deployment, withSecrets: false)?.service.replicas ?? 0
        // What has been there before needs no trial.
        var strategy = order.strategy
        if deployment.kind == "rollback" {
            if case .rolling = strategy {} else { strategy = .blueGreen(.init()) }
        }
        return RolloutSchedule(
            strategy: strategy, wanted: order.service.replicas, serving: serving, isRouted: !order.host.isEmpty,
            soak: deployment.kind == "rollback" ? 0 : try await soak(of: deployment), isInTrain: deployment.train != nil,
            before: Self.jobNames(order.service.jobs?.before, of: deployment), after: Self.jobNames(order.service.jobs?.after, of: deployment))
    }

    private static func gone(_ deployment: Deployment) -> EngineError {
        EngineError(.unknownStage, "the stage '\(deployment.stage)' is not in the release", hint: "push again")
    }

    /// Does what the task says, unless a person decides first.
    private func perform(_ task: RolloutTask, _ deployment: Deployment, _ progress: RolloutProgress) async throws -> RolloutOutcome {
        try await withThrowingTaskGroup(of: RolloutOutcome.self) { group in
            group.addTask { try await work(on: task, deployment, progress) }
            if progress.canGoBack || progress.phase == .queued || progress.phase == .preparing {
                group.addTask { try await decision(about: deployment.id, progress) }
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    private func work(on task: RolloutTask, _ deployment: Deployment, _ progress: RolloutProgress) async throws -> RolloutOutcome {
        if task == .begin {
            let schedule = try await untilAnswered { try await self.schedule(of: deployment) }
            return RolloutOutcome(.begun(schedule), "\(schedule.strategy.name): \(schedule.wanted) × \(deployment.digest.short)")
        }
        if case .job(let name, let moment) = task { return try await runJob(name, moment, of: deployment) }
        guard let order = try await untilAnswered({ try await self.order(for: deployment, withSecrets: task.startsInstances) }) else {
            throw Self.gone(deployment)
        }
        let reports = RolloutReports(engine: self, deployment: deployment)
        let job = RolloutJob(
            order: order, previous: try await untilAnswered { try await self.previousOrder(of: deployment, withSecrets: false) },
            heldUntil: progress.heldUntil, mark: progress.mark, compared: try await compared(deployment.id),
            wholePrevious: { try await self.untilAnswered { try await self.previousOrder(of: deployment, withSecrets: true) } },
            report: { try await reports.save($0) })
        let rollout = parts.rollout
        return try await untilFree { try await rollout.perform(task, job) }
    }

    private func compared(_ id: Int64) async throws -> RolloutReport {
        let row = try await untilAnswered { try await parts.store.deployment(id) }
        return try row.flatMap { try Self.report(of: $0) } ?? RolloutReport()
    }

    /// Waits until a person wants the deployment to end, or to go on.
    private func decision(about id: Int64, _ progress: RolloutProgress) async throws -> RolloutOutcome {
        while true {
            let heard = bell.count
            if let row = try await untilAnswered({ try await parts.store.deployment(id) }) {
                if let reason = row.cancelReason { return RolloutOutcome(.cancelAsked(reason), reason) }
                if progress.waitsForPerson, row.resumedWave == progress.wave, let actor = row.resumedBy {
                    return RolloutOutcome(.waited(actor), "\(actor) let it go on")
                }
                if let event = try await untilAnswered({ try await signal(to: row, progress) }) {
                    return RolloutOutcome(event, event.reason ?? "the others of the train are there")
                }
            }
            await bell.wait(after: heard, atMost: .milliseconds(500))
            try Task.checkCancellation()
        }
    }

    /// The names of the targets that the deployment and the one before it use.
    private func targets(of deployment: Deployment) async throws -> Set<String> {
        var names: Set<String> = []
        for order in [
            try await order(for: deployment, withSecrets: false), try await previousOrder(of: deployment, withSecrets: false),
        ] {
            if let order { names.insert(order.target) }
        }
        return names
    }

    /// What a deployment takes the place of, as it is declared; nil when there is nothing.
    private func previousOrder(of deployment: Deployment, withSecrets: Bool) async throws -> RolloutOrder? {
        guard let id = deployment.previous, let previous = try await parts.store.deployment(id) else { return nil }
        return try await order(for: previous, withSecrets: withSecrets)
    }

    private func soak(of deployment: Deployment) async throws -> Double {
        guard let release = try await parts.store.release(deployment.release) else { return 0 }
        return try Self.plan(of: deployment.stage, in: release)?.soak ?? 0
    }

    /// What the target is asked for. Secrets are opened here, and are nowhere written down by us.
    func order(for deployment: Deployment, withSecrets: Bool = true) async throws -> RolloutOrder? {
        guard let release = try await parts.store.release(deployment.release),
            let stage = try Self.plan(of: deployment.stage, in: release)
        else { return nil }
        var service = release.service
        if let replicas = stage.replicas { service.replicas = replicas }
        if let rule = stage.autoscale {
            let scale = try await parts.store.scales().first(where: StageName(of: deployment).contains)
            service.replicas = rule.clamp(scale?.replicas ?? service.replicas)
        }
        var environment = withSecrets ? try await resolve(stage.environment, project: deployment.project) : [:]
        environment["SLIPWAY_STAGE"] = stage.name
        return RolloutOrder(
            deployment: deployment.name, project: deployment.project, pipeline: deployment.pipeline,
            stage: deployment.stage, image: deployment.digest, service: service, target: stage.target,
            strategy: stage.strategy ?? .blueGreen(.init()), environment: environment,
            host: stage.hostName(project: deployment.project), scope: stage.scope,
            drainSeconds: stage.drain ?? 10, previous: deployment.previous.map(Deployment.name), number: deployment.id,
            epoch: deployment.epoch, autoscale: stage.autoscale)
    }

    private func followers(of deployment: Deployment) async throws -> [NewDeployment] {
        guard let release = try await parts.store.release(deployment.release) else { return [] }
        return try Self.stages(of: release).filter { $0.after == deployment.stage && $0.promotesAtOnce }
            .map { try newDeployment(to: $0, of: release.service, kind: "promotion", by: "slipway") }
    }

    public static func stages(of release: Release) throws -> [StagePlan] {
        try OCIJSON.decode([StagePlan].self, from: Array(release.stages.utf8))
    }

    /// The stage of this name as it was when the release was made; nil when it had none.
    public static func plan(of stage: String, in release: Release) throws -> StagePlan? {
        try stages(of: release).first { $0.name == stage }
    }

    /// What should be running now, for the supervisor. A stage in the middle of a deployment is left to it.
    public func declaredOrders() async throws -> [RolloutOrder] {
        let busy = try await parts.store.activeDeployments()
        var orders: [RolloutOrder] = []
        for live in try await parts.store.liveDeployments(project: nil) {
            let next = busy.first(where: StageName(of: live).contains)
            // Before its first instance starts a deployment touches nothing of the one before.
            let moving = next.map { $0.phase != .preparing } ?? false
            if !moving, let order = try await order(for: live) { orders.append(order) }
        }
        // Its jobs may take long.
        for deployment in busy where try Self.progress(of: deployment)?.jobs?.isFinishing == true {
            if let order = try await order(for: deployment) { orders.append(order) }
        }
        return orders
    }

    /// What listens now, as `address:port`: instances of what is live, and of deployments under way. Those of a machine that does
    /// not answer are left out.
    public func servingInstances() async throws -> [(deployment: Deployment, endpoints: [String])] {
        let (live, busy) = (try await parts.store.liveDeployments(project: nil), try await parts.store.activeDeployments())
        var found: [(deployment: Deployment, endpoints: [String])] = []
        for deployment in live + busy.filter({ one in !live.contains { $0.id == one.id } }) {
            guard let order = try await order(for: deployment, withSecrets: false) else { continue }
            do {
                let endpoints = try await parts.rollout.endpoints(of: order)
                if !endpoints.isEmpty { found.append((deployment, endpoints)) }
            } catch let error as DeployerError {
                logger.warning("the instances of deployment \(deployment.id) are not known now: \(error)")
            }
        }
        return found
    }
}

extension RolloutEvent {
    fileprivate var isEndOfJob: Bool {
        if case .jobEnded = self { return true }
        return false
    }
}

extension RolloutTask {
    /// Whether it starts new instances, which needs their environment. The way back must not depend on it.
    fileprivate var startsInstances: Bool {
        if case .start = self { return true }
        return false
    }
}

/// Writes down how the versions of a deployment compare.
private struct RolloutReports: Sendable {
    let engine: PipelineEngine
    let deployment: Deployment

    func save(_ report: RolloutReport) async throws {
        let text = String(decoding: try OCIJSON.encode(report), as: UTF8.self)
        let isOurs = try await engine.untilAnswered {
            try await engine.parts.store.saveReport(deployment: deployment.id, epoch: deployment.epoch, text)
        }
        guard isOurs else { throw LeaseLost() }
        engine.bell.ring()
    }
}

extension StagePlan {
    /// The host the router answers for; `<stage>.<project>.localhost` when the file names none, empty for a worker.
    public func hostName(project: String) -> String { host ?? "\(name).\(project).localhost" }

    /// The host, with its first path where it has not all of them: `shop.localhost/api`.
    public func place(project: String) -> String { hostName(project: project) + (paths?.first ?? "") }

    fileprivate var scope: RouteScope {
        RouteScope(
            paths: paths ?? [], stripPrefix: stripPrefix ?? false, legacy: legacy.map { Upstream(address: $0.address, port: $0.port) })
    }
}
