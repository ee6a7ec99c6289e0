import DeliveryModel
import FoundationEssentials
import Hummingbird
import PipelineEngine
import PipelineFile
import StateStore

/// Fills the pages from the store. Reading only; what changes something is in `Pages+Actions`.
struct Pages: Sendable {
    let parts: WebParts
    let renderer: PageRenderer

    func shell(
        _ title: String, _ crumbs: [Crumb], _ request: Request, notice: Notice? = nil, isLive: Bool = false
    ) async throws -> Shell {
        let session = parts.access.session(of: request)
        return Shell(
            title: title, crumbs: crumbs, user: try await parts.access.caller(ofSession: session)?.name,
            csrf: parts.access.csrf(for: session), notice: notice ?? outcome(request), refreshSeconds: isLive ? 2 : nil)
    }

    /// What an action that led here has to say.
    private func outcome(_ request: Request) -> Notice? {
        switch request.uri.queryParameters.get("done") {
        case "approved": Notice(StateBadge(.success, "Approved"), message: "The deployment goes ahead.")
        case "recorded": Notice(StateBadge(.waiting, "Recorded"), message: "Your approval counts; more are needed.")
        case "rejected": Notice(StateBadge(.neutral, "Rejected"), message: "The deployment will not happen.")
        case "promoted": Notice(StateBadge(.success, "Promoted"), message: "The same digest is on its way.")
        case "overridden": Notice(StateBadge(.success, "Set aside"), message: "The freeze does not hold this deployment any more.")
        case "resumed": Notice(StateBadge(.success, "Goes on"), message: "The deployment goes on.")
        case "aborted": Notice(StateBadge(.success, "Going back"), message: "The version before goes on serving.")
        case "rolledback": Notice(StateBadge(.success, "Rolling back"), message: "The release before is on its way.")
        case "rerun": Notice(StateBadge(.success, "Started again"), message: "This is the new run.")
        case "cancelled": Notice(StateBadge(.neutral, "Cancelling"), message: "The run is being stopped.")
        case "resent": Notice(StateBadge(.waiting, "Waiting"), message: "The message is sent again.")
        case "discarded": Notice(StateBadge(.neutral, "Discarded"), message: "The message will not be sent.")
        default: nil
        }
    }

    /// Nobody reads without a token where the server asks for one: they are sent to the login page.
    func reader(_ request: Request, _ body: () async throws -> Response) async throws -> Response {
        guard try await parts.access.mayRead(request) else { return redirect("/login?next=\(PageURL.segment(request.uri.path))") }
        return try await body()
    }

    func addProjectRoutes(to router: Router<WebContext>) {
        router.get("/") { request, _ in try await reader(request) { try await projects(request) } }
        router.get("/projects/:project") { request, context in
            try await reader(request) { try await project(request, context) }
        }
        router.get("/projects/:project/runs") { request, context in
            try await reader(request) { try await runs(request, context) }
        }
        router.get("/badges/:badge") { request, context in
            try await reader(request) { try await badge(context) }
        }
    }

    private func projects(_ request: Request) async throws -> Response {
        var cards: [ProjectCard] = []
        for project in try await parts.store.projects() {
            let last = try await parts.store.runs(project: project.name, limit: 1).first
            let stages = try await parts.engine.overview(project: project.name)
            cards.append(
                ProjectCard(
                    name: project.name, repository: project.url, lastRun: last.map(row),
                    stages: stages.map {
                        StageChip(
                            stage: $0.plan.name, badge: StateBadge(state: $0.state), commit: $0.liveRelease?.commit)
                    }))
        }
        let shell = try await shell("Projects", [Crumb("Projects")], request, isLive: !cards.isEmpty)
        return html(renderer.render(ProjectsPage(shell: shell, projects: cards)))
    }

    private func project(_ request: Request, _ context: WebContext) async throws -> Response {
        let name = try context.parameters.require("project")
        guard let project = try await parts.store.project(name) else { throw unknownProject(name) }
        let caller = try await parts.access.caller(of: request)
        let signedIn = caller?.mayDeploy ?? false
        var rows: [PipelineRow] = []
        for stage in try await parts.engine.overview(project: name) {
            let card = try await card(stage, project: name, caller: caller)
            if rows.last?.pipeline == stage.pipeline {
                rows[rows.count - 1].stages.append(card)
            } else {
                rows.append(PipelineRow(pipeline: stage.pipeline, train: stage.plan.train, stages: [card]))
            }
        }
        let runs = try await parts.store.runs(project: name, limit: 10)
        let shell = try await shell(name, [Crumb("Projects", url: "/"), Crumb(name)], request, isLive: true)
        var page = ProjectPage(
            shell: shell, name: name, repository: project.url,
            hookURL: signedIn ? "\(parts.publicURL)/hooks/\(name)" : nil, pipelines: rows, runs: runs.map(row),
            warnings: try await warnings(project: name))
        page.jobs = try await jobRows(JobFilter(project: name))
        return html(renderer.render(page))
    }

    /// What somebody should look at.
    private func warnings(project: String) async throws -> [ProjectWarning] {
        var warnings: [ProjectWarning] = []
        let dead = try await parts.store.messages(project: project, states: [.dead], limit: 100)
        if let latest = dead.first {
            warnings.append(
                ProjectWarning(
                    dead.count == 1 ? "A message could not be delivered" : "\(dead.count) messages could not be delivered",
                    detail: latest.problem ?? "", linkLabel: "Outbox", url: PageURL.outbox(of: project)))
        }
        if let problem = try await parts.store.reconciliation(of: project)?.problem {
            warnings.append(ProjectWarning("The repository cannot be read", detail: problem))
        }
        for delivery in try await parts.engine.quarantinedDeliveries(of: project).prefix(3) {
            warnings.append(
                ProjectWarning(
                    "Delivery \(delivery) is quarantined",
                    detail: "The server ended too often while it worked on it. Try again with: slipway deliveries retry \(delivery)"))
        }
        return warnings
    }

    private func runs(_ request: Request, _ context: WebContext) async throws -> Response {
        let name = try context.parameters.require("project")
        guard try await parts.store.project(name) != nil else { throw unknownProject(name) }
        let runs = try await parts.store.runs(project: name, limit: 200)
        let shell = try await shell(
            "Runs of \(name)",
            [Crumb("Projects", url: "/"), Crumb(name, url: PageURL.project(name)), Crumb("Runs")], request,
            isLive: runs.contains { !$0.state.isTerminal })
        return html(renderer.render(RunsPage(shell: shell, project: name, runs: runs.map(row))))
    }

    /// `/badges/<project>.svg`: the state of the last run.
    private func badge(_ context: WebContext) async throws -> Response {
        let file = try context.parameters.require("badge")
        let name = file.hasSuffix(".svg") ? String(file.dropLast(4)) : file
        guard try await parts.store.project(name) != nil else { throw unknownProject(name) }
        let state = try await parts.store.runs(project: name, limit: 1).first?.state.rawValue ?? "no run"
        let colour = ["succeeded": "#1a7f37", "failed": "#cf222e", "invalid": "#9a6700"][state] ?? "#57606a"
        let svg = """
            <svg xmlns="http://www.w3.org/2000/svg" width="150" height="20" role="img" aria-label="slipway: \(state)">\
            <rect width="60" height="20" rx="3" fill="#24292f"/><rect x="56" width="94" height="20" rx="3" \
            fill="\(colour)"/><g fill="#fff" font-family="Verdana,sans-serif" font-size="11">\
            <text x="8" y="14">slipway</text><text x="66" y="14">\(state)</text></g></svg>
            """
        return Response(
            status: .ok, headers: [.contentType: "image/svg+xml", .cacheControl: "no-cache"],
            body: .init(byteBuffer: ByteBuffer(string: svg)))
    }

    func row(_ run: Run) -> RunRow {
        RunRow(
            id: "\(run.id)", badge: StateBadge(state: run.state.rawValue), subject: run.message,
            pipeline: run.pipeline, commit: run.commit, ref: run.branch ?? "", author: run.author, event: run.event,
            when: time(run.createdAt), duration: duration(run.startedAt, run.finishedAt))
    }

    func time(_ seconds: Double) -> TimeText { TimeText.ago(seconds, now: parts.access.clock()) }

    func duration(_ start: Double?, _ end: Double?) -> String {
        start.map { durationText((end ?? parts.access.clock()) - $0) } ?? ""
    }
}

extension TimeText {
    static func ago(_ seconds: Double, now: Double) -> TimeText {
        let age = Int(now - seconds)
        let text =
            switch age {
            case ..<5: "just now"
            case ..<60: "\(age) s ago"
            case ..<3600: "\(age / 60) min ago"
            case ..<86_400: "\(age / 3600) h ago"
            default: "\(age / 86_400) d ago"
            }
        return TimeText(text, machine: Date(timeIntervalSince1970: seconds).ISO8601Format())
    }
}

func durationText(_ seconds: Double) -> String {
    switch seconds {
    case ..<10: "\((max(0, seconds) * 10).rounded() / 10) s"
    case ..<60: "\(Int(seconds)) s"
    case ..<3600: "\(Int(seconds) / 60) min \(Int(seconds) % 60) s"
    default: "\(Int(seconds) / 3600) h \(Int(seconds) / 60 % 60) min"
    }
}
