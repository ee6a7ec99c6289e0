import ContainerRuntime
import DeliveryModel
public import Deployer
import Logging
import OCIModel
public import PipelineFile
public import StateStore

extension PipelineEngine {
    /// Claims one deployment and carries it to its end. Returns whether there was one.
    func workOnDeployment() async throws -> Bool {
        let asked = ContinuousClock.now
        let claimed = try await parts.store.claimDeployment(
            holder: settings.holder, leaseSeconds: settings.leaseSeconds)
        guard let deployment = claimed else {
            for id in try await parts.store.expireApprovals() { logger.info("approval of deployment \(id) expired") }
            return false
        }
        logger.info(
            "deployment claimed",
            metadata: ["deployment": "\(deployment.id)", "stage": "\(deployment.stage)", "phase": "\(deployment.phase)"])
        do {
            let claim = Claim(deployment: deployment.name, epoch: deployment.epoch)
            try await holding(Fence(owner: claim.deployment, epoch: claim.epoch), asked: asked) {
                try await untilFree { try await parts.rollout.admit(claim) }
            } renew: {
                try await parts.store.renewDeployment(
                    deployment.id, epoch: deployment.epoch, leaseSeconds: settings.leaseSeconds)
            } _: {
                if try await mayBegin(deployment) { try await carryOut(deployment) }
            }
        } catch is LeaseLost {
            logger.warning("deployment \(deployment.id) is not ours any more: its lease is over, or another server has it")
        }
        return true
    }

    private func carryOut(_ deployment: Deployment) async throws {
        var phase = deployment.phase
        // Why it goes back; what follows must not hide it.
        var reason = phase == .reverting ? deployment.message : nil
        while !phase.isTerminal {
            let next: RolloutPhase
            var message: String?
            var tail: String?
            do {
                let secretsNeeded = phase.mayStartInstances
                guard let order = try await untilAnswered({ try await order(for: deployment, withSecrets: secretsNeeded) }) else {
                    throw EngineError(
                        .unknownStage, "the stage '\(deployment.stage)' is not in the release", hint: "push again")
                }
                let (now, rollout) = (phase, parts.rollout)
                let step = try await untilFree { try await rollout.advance(order, from: now) }
                next = step.next
                message = step.message
                tail = step.lastLogLines.isEmpty ? nil : step.lastLogLines.joined(separator: "\n")
            } catch is CancellationError {
                throw CancellationError()
            } catch let error as LeaseLost {
                throw error
            } catch {
                // What cannot be tried gives way to the version that serves; past that point the same phase is tried
                // again when the lease has expired.
                next = phase == .queued ? .failed : .reverting
                message = "\(error)"
                guard phase.next.contains(next) else { throw error }
            }
            if next == .reverting { reason = message }
            if next == .failed, let why = reason { message = message.map { "\(why); \($0)" } ?? why }
            var followers: [NewDeployment] = []
            if next == .succeeded, deployment.kind != "rollback" {
                followers = try await untilAnswered { try await self.followers(of: deployment) }
            }
            let moved = try await untilAnswered {
                try await parts.store.advanceDeployment(
                    deployment.id, epoch: deployment.epoch, from: phase, to: next, message: message, logTail: tail,
                    followers: followers)
            }
            guard moved else { throw LeaseLost() }
            logger.info(
                "deployment advanced",
                metadata: ["deployment": "\(deployment.id)", "phase": "\(next)", "message": "\(message ?? "")"])
            phase = next
            bell.ring()
        }
    }

    /// What the target is asked for. Secrets are opened here, and are nowhere written down by us.
    private func order(for deployment: Deployment, withSecrets: Bool = true) async throws -> RolloutOrder? {
        guard let release = try await parts.store.release(deployment.release),
            let stage = try Self.stages(of: release).first(where: { $0.name == deployment.stage })
        else { return nil }
        var service = release.service
        if let replicas = stage.replicas { service.replicas = replicas }
        var environment = withSecrets ? try await resolve(stage.environment, project: deployment.project) : [:]
        environment["SLIPWAY_STAGE"] = stage.name
        return RolloutOrder(
            deployment: deployment.name, project: deployment.project, pipeline: deployment.pipeline,
            stage: deployment.stage, image: deployment.digest, service: service, environment: environment,
            host: stage.hostName(project: deployment.project),
            drainSeconds: stage.drain ?? 10, previous: deployment.previous.map(Deployment.name), number: deployment.id,
            epoch: deployment.epoch)
    }

    /// Repeats what another process is in the middle of.
    private func untilFree<T: Sendable>(_ body: () async throws -> T) async throws -> T {
        var isSaid = false
        while true {
            do { return try await body() } catch let error as DeployerError {
                switch error.code {
                case .staleHolder: throw LeaseLost()
                case .busy:
                    if !isSaid { logger.warning("\(error)") }
                    isSaid = true
                    try await Task.sleep(for: .seconds(1))
                default: throw error
                }
            }
        }
    }

    private func followers(of deployment: Deployment) async throws -> [NewDeployment] {
        guard let release = try await parts.store.release(deployment.release) else { return [] }
        return try Self.stages(of: release).filter { $0.after == deployment.stage && $0.promotesAtOnce }
            .map { try newDeployment(to: $0, of: release.service, kind: "promotion", by: "slipway") }
    }

    public static func stages(of release: Release) throws -> [StagePlan] {
        try OCIJSON.decode([StagePlan].self, from: Array(release.stages.utf8))
    }

    /// What should be running now, for the supervisor. A stage in the middle of a deployment is left to it.
    public func declaredOrders() async throws -> [RolloutOrder] {
        let busy = try await parts.store.activeDeployments()
        var orders: [RolloutOrder] = []
        for live in try await parts.store.liveDeployments(project: nil) {
            let moving = busy.contains {
                $0.project == live.project && $0.pipeline == live.pipeline && $0.stage == live.stage
            }
            if !moving, let order = try await order(for: live) { orders.append(order) }
        }
        return orders
    }
}

extension RolloutPhase {
    /// Phases in which instances may be started, which needs their environment. The way back must not depend on it.
    fileprivate var mayStartInstances: Bool { self == .queued || self == .starting || self == .warming }
}

extension StagePlan {
    /// The host the router answers for; `<stage>.<project>.localhost` when the file names none.
    public func hostName(project: String) -> String { host ?? "\(name).\(project).localhost" }
}
