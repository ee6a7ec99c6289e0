import DeliveryModel
import Logging
import OCIModel
import PipelineFile
import StateStore

/// Deployments that go together: a train is what one commit makes of the pipelines that name it, in one stage.
extension PipelineEngine {
    /// Looked at again after so many seconds at the latest; who comes last to a train does not wait for that.
    private static let patience = (train: 60.0, requirement: 5.0)

    /// Makes the deployment's train once all of it is there, and what it requires. Otherwise it is given back to wait.
    ///
    /// - Returns: whether it may begin.
    func hasItsTrain(_ deployment: Deployment) async throws -> Bool {
        guard deployment.train == nil, deployment.kind != "rollback", let release = try await parts.store.release(deployment.release),
            let stage = try Self.plan(of: deployment.stage, in: release), stage.train != nil || stage.requires != nil
        else { return true }
        // The store's own time: when the lease it has just given would be over, less its length.
        let now = deployment.leaseExpiresAt - settings.leaseSeconds
        let gathered = try await gather(stage, release, at: now)
        let missing = try await missing(stage.requires ?? [], gathered.members.map(\.pipeline), deployment)
        if let reason = (gathered.missing + missing).first {
            let until = now + (missing.isEmpty ? Self.patience.train : Self.patience.requirement)
            if try await parts.store.hold(deployment, until: until, reason: reason, isFreeze: false) {
                if deployment.heldFor != reason { logger.info("deployment \(deployment.id) waits: \(reason)") }
                return false
            }
            return try await isInTrain(deployment)
        }
        guard let name = stage.train, gathered.members.count > 1 else { return true }
        let circle = Train.circle(in: Dictionary(gathered.members.map { ($0.pipeline, $0.requires) }, uniquingKeysWith: { first, _ in first }))
        guard circle.isEmpty else {
            _ = try await parts.store.advanceDeployment(
                deployment.id, epoch: deployment.epoch,
                by: DeploymentChange(
                    from: .queued, to: .failed,
                    message: "the pipelines require each other in a circle: \(circle.joined(separator: " → ")); remove one 'requires'"))
            return false
        }
        if try await parts.store.formTrain(name, of: gathered.members.map(\.deployment)) != nil {
            logger.info("train '\(name)' to \(stage.name)", metadata: ["deployments": "\(gathered.members.map(\.deployment))"])
            bell.ring()
        }
        if try await isInTrain(deployment) { return true }
        // One of them is not any more as it was a moment ago.
        _ = try await parts.store.hold(deployment, until: now + 1, reason: "the train '\(name)' is being made up", isFreeze: false)
        return false
    }

    private func isInTrain(_ deployment: Deployment) async throws -> Bool {
        guard let row = try await parts.store.deployment(deployment.id), row.epoch == deployment.epoch else { return false }
        return row.train != nil
    }

    private struct Gathered {
        var members: [(pipeline: String, deployment: Int64, requires: Set<String>)] = []
        /// Why it is not complete.
        var missing: [String] = []
    }

    /// The deployments of a commit that belong to the train of a stage and have not begun.
    private func gather(_ stage: StagePlan, _ release: Release, at now: Double) async throws -> Gathered {
        var gathered = Gathered()
        guard let name = stage.train else { return gathered }
        let known = try await parts.store.newestReleases(project: release.project)
        for run in try await parts.store.runs(project: release.project, commit: release.commit) {
            let plan = try run.plan.map { try OCIJSON.decode(PipelinePlan.self, from: Array($0.utf8)) }
            // A file that cannot be read belongs to the train that the pipeline was in before.
            let stages = try plan?.stages ?? known.first { $0.pipeline == run.pipeline }.map { try Self.stages(of: $0) } ?? []
            guard let own = stages.first(where: { $0.name == stage.name && $0.train == name }) else { continue }
            let who = "\(run.pipeline) of the train '\(name)'"
            guard run.state == .succeeded else {
                gathered.missing.append("waits for \(who): its run \(run.id) is \(run.state.rawValue)")
                continue
            }
            guard let made = try await parts.store.release(ofRun: run.id) else { continue }
            let newest = try await parts.store.deployments(ofRelease: made.id).last { $0.stage == stage.name }
            switch newest {
            case nil: gathered.missing.append("waits for \(who): release \(made.id) has not come to \(stage.name)")
            case let newest? where newest.phase == .queued && newest.train == nil:
                if case .frozen = freeze(of: newest, stages, at: now) {
                    gathered.missing.append("waits for \(who): deployment \(newest.id) is frozen")
                }
                gathered.members.append((run.pipeline, newest.id, Set(own.requires ?? [])))
            // It has been here.
            case let newest? where newest.phase == .succeeded: continue
            case let newest?: gathered.missing.append("waits for \(who): deployment \(newest.id) is \(newest.phase.rawValue)")
            }
        }
        return gathered
    }

    /// The pipelines it requires that are neither in its train nor live in the stage of the same name.
    private func missing(_ required: [String], _ together: [String], _ deployment: Deployment) async throws -> [String] {
        if required.isEmpty { return [] }
        let live = try await parts.store.liveDeployments(project: deployment.project).filter { $0.stage == deployment.stage }.map(\.pipeline)
        return required.filter { !together.contains($0) && !live.contains($0) }
            .map { "requires \($0), which is not live in \(deployment.stage)" }
    }

    /// What the train of a deployment lets it do now; nil when it goes on as it is.
    func signal(to deployment: Deployment, _ progress: RolloutProgress) async throws -> RolloutEvent? {
        guard let id = deployment.train else { return nil }
        let members = try await members(ofTrain: id, ordered: progress.phase == .joining)
        // Read last: whoever goes back has said why before.
        guard var train = try await parts.store.train(id) else { return nil }
        guard let own = members.first(where: { $0.pipeline == deployment.pipeline }) else { return nil }
        var signal = train.signal(for: TrainMember(pipeline: own.pipeline, progress: progress, requires: own.requires), among: members)
        if case .commit = signal, let settled = try await parts.store.settleTrain(id, .committed, reason: nil) {
            train = settled
            signal = train.signal(for: own, among: members)
        }
        return progress.event(of: signal)
    }

    /// - Parameter ordered: with the order in which they switch, which is in their releases.
    private func members(ofTrain id: Int64, ordered: Bool) async throws -> [TrainMember] {
        let deployments = try await parts.store.deployments(ofTrain: id)
        var members: [TrainMember] = []
        for deployment in deployments {
            let required = ordered ? try await release(of: deployment).plan.requires : nil
            members.append(
                TrainMember(
                    pipeline: deployment.pipeline,
                    progress: try Self.progress(of: deployment) ?? RolloutProgress(phase: deployment.phase), requires: Set(required ?? [])))
        }
        guard ordered, deployments.contains(where: { $0.kind == "rollback" }) else { return members }
        // On the way back whoever needs another goes first.
        return members.map { member in
            var turned = member
            turned.requires = Set(members.filter { $0.requires.contains(member.pipeline) }.map(\.pipeline))
            return turned
        }
    }

    /// Takes the others of a train back with a member that cannot go on. What cannot be taken back goes on.
    ///
    /// - Returns: whether the train had committed before.
    func leaveTrain(_ deployment: Deployment, _ reason: String) async throws -> Bool {
        guard let id = deployment.train else { return false }
        let settled = try await untilAnswered {
            try await parts.store.settleTrain(id, .aborted, reason: "\(deployment.pipeline): \(reason)")
        }
        return settled?.state == .committed
    }

    /// Brings back what the members of a train replaced, as a train of its own.
    ///
    /// - Returns: the new deployments; nil when what is live in the stage did not come in a train.
    func rollbackTrain(of live: Deployment, by actor: String) async throws -> [Deployment]? {
        guard let id = live.train, let train = try await parts.store.train(id) else { return nil }
        let alive = Set(try await parts.store.liveDeployments(project: live.project).map(\.id))
        var new: [(deployment: NewDeployment, release: Int64)] = []
        for member in try await parts.store.deployments(ofTrain: id) where member.phase == .succeeded {
            guard alive.contains(member.id) else {
                throw EngineError(
                    .nothingToRollBackTo, "\(member.pipeline) of the train '\(train.name)' has changed in '\(member.stage)' since",
                    hint: "bring one pipeline back by itself: slipway promote \(member.stage) --pipeline \(live.pipeline) --run N")
            }
            guard let before = member.previous, let previous = try await parts.store.deployment(before) else {
                throw EngineError(
                    .nothingToRollBackTo, "\(member.pipeline) of the train '\(train.name)' was not in '\(member.stage)' before",
                    hint: "bring one pipeline back by itself: slipway promote \(member.stage) --pipeline \(live.pipeline) --run N")
            }
            if previous.digest == member.digest, previous.configuration == member.configuration { continue }
            let (release, plan) = try await self.release(of: previous)
            new.append((try newDeployment(to: plan, of: release.service, kind: "rollback", by: actor), release.id))
        }
        if new.isEmpty {
            throw EngineError(
                .nothingToRollBackTo, "the train '\(train.name)' changed nothing in '\(train.stage)'",
                hint: "see its history with: slipway status \(train.project)")
        }
        let ids = try await parts.store.createTrain(train.name, new)
        bell.ring()
        var made: [Deployment] = []
        for id in ids { if let deployment = try await parts.store.deployment(id) { made.append(deployment) } }
        return made
    }
}
