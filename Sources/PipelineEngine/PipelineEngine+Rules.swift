import DeliveryModel
import Logging
import PipelineFile
import StateStore

/// Promotion by rule: what nobody has to ask for.
extension PipelineEngine {
    /// Brings releases on where their stage's rule says so, until the server stops. One server at a time does; what is due is
    /// read from the store each time, so that nothing is lost with a server.
    func promoteByRules() async {
        var ruleless: Set<Int64> = []
        while !Task.isCancelled {
            do {
                try await promoteWhatIsDue(&ruleless)
            } catch is CancellationError {
                return
            } catch let error as StateError where error.isOutage {
                trouble.began(error)
            } catch {
                logger.error("promotion by rule: \(error)")
            }
            try? await Task.sleep(for: .seconds(2))
        }
    }

    /// Returns the deployments that were created.
    ///
    /// - Parameter ruleless: releases known to have no rule, which are not read again.
    @discardableResult
    func promoteWhatIsDue(_ ruleless: inout Set<Int64>) async throws -> [Deployment] {
        var made: [Deployment] = []
        var seen: Set<Int64> = []
        for deployment in try await parts.store.liveDeployments(project: nil) where deployment.kind != "rollback" {
            seen.insert(deployment.release)
            guard !ruleless.contains(deployment.release), let release = try await parts.store.release(deployment.release) else { continue }
            guard release.hasRules else {
                ruleless.insert(release.id)
                continue
            }
            made += try await promote(release, to: { $0.after == deployment.stage }, since: deployment.finishedAt ?? deployment.createdAt)
        }
        ruleless.formIntersection(seen)
        for project in try await parts.store.projects() {
            for release in try await parts.store.newestReleases(project: project.name) where release.hasRules {
                made += try await promote(release, to: { $0.after == nil }, since: release.createdAt)
            }
        }
        return made
    }

    private func promote(_ release: Release, to isMeant: (StagePlan) -> Bool, since: Double) async throws -> [Deployment] {
        var made: [Deployment] = []
        for stage in try Self.stages(of: release) where isMeant(stage) && !stage.promotesAtOnce {
            guard try await isDue(stage, release, since: since) else { continue }
            let known = try await parts.store.deployments(ofRelease: release.id).contains { $0.stage == stage.name }
            if known { continue }
            var new = try newDeployment(to: stage, of: release.service, kind: "promotion", by: "slipway")
            new.isFirst = true
            let id = try await parts.store.createDeployment(new, of: release.id)
            if let deployment = try await parts.store.deployment(id) { made.append(deployment) }
            bell.ring()
        }
        return made
    }

    private func isDue(_ stage: StagePlan, _ release: Release, since: Double) async throws -> Bool {
        try await ruleDecision(stage, release, since: since) == .now
    }

    /// What the stage's rule says about a release that is healthy in the stage before since then.
    func ruleDecision(_ stage: StagePlan, _ release: Release, since: Double) async throws -> PromotionRule.Decision {
        let rule = stage.promote ?? .automatic
        var tags: [String] = []
        if case .tag = rule { tags = try await parts.store.tags(project: release.project, commit: release.commit) }
        return rule.decision(since: since, at: try await parts.store.time()) { pattern in
            let glob = Glob(pattern)
            return tags.contains { glob.matches($0) }
        }
    }
}

extension Release {
    /// Most have none: their stages need not be read.
    fileprivate var hasRules: Bool { stages.contains("\"promote\"") }
}

extension StagePlan {
    /// Whether a release comes here as soon as it may.
    var promotesAtOnce: Bool { (promote ?? .automatic) == .automatic }
}
