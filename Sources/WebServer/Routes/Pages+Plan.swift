import DeliveryModel
import Hummingbird
public import PipelineEngine
import PipelineFile
import StateStore

/// `/projects/<name>/stages/<stage>/plan`
extension Pages {
    func addPlanRoutes(to router: Router<WebContext>) {
        router.get("/projects/:project/stages/:stage/plan") { request, context in
            try await reader(request) { try await plan(request, context) }
        }
    }

    private func plan(_ request: Request, _ context: WebContext) async throws -> Response {
        let project = try context.parameters.require("project")
        guard try await parts.store.project(project) != nil else { throw unknownProject(project) }
        let place = try await parts.engine.stage(
            try context.parameters.require("stage"), of: project, pipeline: request.uri.queryParameters.get("pipeline"))
        let plan = try await parts.engine.plan(for: place)
        let mayDeploy = try await parts.access.caller(of: request)?.mayDeploy ?? false
        let mayOverride = mayDeploy && plan.freeze != nil && plan.deployment != nil
        let shell = try await shell(
            "\(place.stage) of \(project)",
            [Crumb("Projects", url: "/"), Crumb(project, url: PageURL.project(project)), Crumb("Plan for \(place.stage)")], request)
        return html(
            renderer.render(
                PlanPage(
                    shell: shell, stage: place.stage, live: plan.live.map(version), next: version(plan.next), approval: plan.approvalText,
                    freeze: plan.freezeText, overrideURL: mayOverride ? PageURL.overrideFreeze(of: place.stage, project) : nil,
                    pipeline: place.pipeline, commits: (plan.commits ?? []).map { PlanCommit(id: $0.id, author: $0.author, subject: $0.subject) },
                    commitsNote: plan.commitsNote, changes: plan.changes.map(change))))
    }

    private func version(_ version: StageFacts.Version) -> PlanVersion {
        PlanVersion(digest: version.digest, commit: version.commit, subject: version.subject)
    }

    private func change(_ change: StageSnapshot.Change) -> PlanChange {
        let badge =
            switch change.kind {
            case .added: StateBadge(.success, "Added")
            case .removed: StateBadge(.warning, "Removed")
            case .changed: StateBadge(.neutral, "Changed")
            }
        return PlanChange(badge: badge, name: change.name, from: change.from, to: change.to)
    }
}

extension PromotionPlan {
    /// Who has to agree, in words; nil: nobody.
    public var approvalText: String? {
        guard let approvals else { return nil }
        let many = approvals.missing == 1 ? "1 approval" : "\(approvals.missing) approvals"
        let people = approvals.from.isEmpty ? "" : ", which may come from \(approvals.from.prefix(10).joined(separator: ", "))"
        return "It needs \(many)\(people)\(rule?.notAuthor == true ? "; not from the commit's author" : "")."
    }

    public var freezeText: String? {
        freeze.map { $0.until.map { "Frozen until \(Moment.text($0))." } ?? "Frozen, with no end to be seen." }
    }

    public var commitsNote: String? {
        guard let commits else { return "The repository does not tell the commits between." }
        if live == nil { return "Nothing is live yet, so that everything before is new too." }
        if commits.isEmpty { return "No commit that is not live." }
        return hasMore ? "There are more." : nil
    }
}
