public import DeliveryModel
import Logging
import OCIModel
import PipelineFile
import StateStore

/// What the server's own configuration says about people and times.
public struct Governance: Sendable {
    public var people: People
    /// When no deployment begins, whatever the stage.
    public var freeze: [FreezeWindow]

    public init(people: People = People(), freeze: [FreezeWindow] = []) {
        self.people = people
        self.freeze = freeze
    }
}

extension PipelineEngine {
    /// Who is known to this server.
    public var people: People { settings.governance.people }

    /// A deployment as its stage's plan asks for it.
    ///
    /// - Parameter override: why it goes ahead in a freeze.
    func newDeployment(
        to stage: StagePlan, of service: ServiceDefinition, kind: String, by actor: String, override: String? = nil
    ) throws -> NewDeployment {
        var (asked, names) = (stage.approval, Set<String>())
        for case .secret(let name) in stage.environment.values { names.insert(name) }
        if kind == "rollback" { asked = nil }
        return NewDeployment(
            stage: stage.name, kind: kind, requestedBy: actor, approvalsNeeded: asked?.count ?? 0, expiresAfter: asked?.expires, rule: asked,
            configuration: try Self.configuration(of: stage, service), secretNames: names.sorted(), override: override)
    }

    static func configuration(of stage: StagePlan, _ service: ServiceDefinition) throws -> String {
        Configuration.base(service: try OCIJSON.encode(service), stage: try OCIJSON.encode(stage))
    }

    /// Whether a claimed deployment that has not begun may begin now: no freeze, and what was approved is still what would be
    /// started. Otherwise it is given back to wait, or ended.
    func mayBegin(_ deployment: Deployment) async throws -> Bool {
        guard deployment.phase == .queued else { return true }
        guard try await isOpenAndApproved(deployment), try await hasItsTrain(deployment) else { return false }
        let versions = try await secretVersions(deployment.secretNames, project: deployment.project)
        if !versions.isEmpty { try await parts.store.noteSecrets(deployment, versions: versions) }
        return true
    }

    /// How the secrets of these names are set now; those that are not set are left out.
    func secretVersions(_ names: [String], project: String) async throws -> [String: String] {
        if names.isEmpty { return [:] }
        let sealed = try await parts.store.secrets(project: project)
        return Dictionary(
            names.compactMap { name in sealed[name].map { (name, Configuration.version($0)) } }, uniquingKeysWith: { first, _ in first })
    }

    private func isOpenAndApproved(_ deployment: Deployment) async throws -> Bool {
        guard deployment.kind != "rollback", let release = try await parts.store.release(deployment.release)
        else { return true }
        // The store's own time: when the lease it has just given would be over, less its length.
        let now = deployment.leaseExpiresAt - settings.leaseSeconds
        switch freeze(of: deployment, try Self.stages(of: release), at: now) {
        case .open: break
        // It was open when the train was made.
        case .frozen where deployment.train != nil: break
        case .frozen(let until):
            // Looked at again now and then: the server's windows may be others after a restart.
            let again = min(until ?? .infinity, now + 60)
            let reason = until.map { "frozen until \(Moment.text($0))" } ?? "frozen, with no end to be seen"
            guard try await parts.store.hold(deployment, until: again, reason: reason, isFreeze: true) else {
                let now = try await parts.store.deployment(deployment.id)
                guard let now, now.epoch == deployment.epoch, now.overriddenBy != nil else { return false }
                return try await isStillApproved(now, release)
            }
            if deployment.heldFor != reason { logger.info("deployment \(deployment.id) waits: \(reason)") }
            return false
        }
        return try await isStillApproved(deployment, release)
    }

    func freeze(of deployment: Deployment, _ stages: [StagePlan], at time: Double) -> FreezeDecision {
        let own = stages.first { $0.name == deployment.stage }?.freeze ?? []
        return FreezeDecision.at(
            time, windows: own + settings.governance.freeze, isRollback: deployment.kind == "rollback",
            isOverridden: deployment.overriddenBy != nil)
    }

    /// A secret that was set anew after the approval is something nobody has agreed to.
    private func isStillApproved(_ deployment: Deployment, _ release: Release) async throws -> Bool {
        guard deployment.approvalsNeeded > 0, let subject = try await parts.store.approvalSubject(of: deployment.id) else { return true }
        let approvals = try await parts.store.approvals(of: deployment.id)
        let stands = Set(approvals.filter { $0.approved && $0.vote.subject == subject }.map(\.actor)).count
        if stands >= deployment.approvalsNeeded || !approvals.contains(where: { !$0.configuration.isEmpty }) { return true }
        _ = try await parts.store.advanceDeployment(
            deployment.id, epoch: deployment.epoch,
            by: DeploymentChange(
                from: .queued, to: .failed, message: "a secret of the stage was set after the approval; promote it again"))
        return false
    }
}
