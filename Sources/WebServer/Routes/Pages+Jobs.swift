import ContainerRuntime
import DeliveryModel
import Hummingbird
import OCIModel
import PipelineEngine
import StateStore

extension Pages {
    static let shownJobs = 8
    private static let shownLogLines = 500

    func addJobRoutes(to router: Router<WebContext>) {
        router.get("/jobs/:job") { request, context in
            try await reader(request) { try await job(request, context) }
        }
        router.post("/jobs/:job/cancel") { request, context -> Response in
            let form = try await authorizedForm(request)
            let job = try await findJob(context, parts)
            _ = try await parts.engine.cancel(job: job.id, by: form.actor)
            return redirect(PageURL.job("\(job.id)"))
        }
    }

    private func job(_ request: Request, _ context: WebContext) async throws -> Response {
        let job = try await parts.engine.shown(try await findJob(context, parts))
        let mayDeploy = try await parts.access.caller(of: request)?.mayDeploy ?? false
        let shell = try await shell(
            "\(job.name) · job \(job.id)",
            [Crumb("Projects", url: "/"), Crumb(job.project, url: PageURL.project(job.project)), Crumb("Job \(job.id)")], request,
            isLive: !job.state.isTerminal)
        let lines = try await parts.engine.log(ofJob: job).tail(Self.shownLogLines + 1).map(\.text)
        var facts: [ReleasePanel.Fact] = [
            .init("Command", job.command.joined(separator: " ")), .init("Image", job.digest.description),
            .init("Timeout", durationText(job.timeout)),
        ]
        if let code = job.exitCode { facts.append(.init("Exit code", "\(code)")) }
        return html(
            renderer.render(
                JobPage(
                    shell: shell, job: row(job), facts: facts, problem: job.message, lines: Array(lines.suffix(Self.shownLogLines)),
                    isCut: lines.count > Self.shownLogLines, mayCancel: mayDeploy && !job.state.isTerminal)))
    }

    /// Of a project, a stage or a deployment, newest first.
    func jobRows(_ filter: JobFilter, limit: Int = shownJobs) async throws -> [JobRow] {
        try await parts.engine.shownJobs(filter, limit: limit).map(row)
    }

    func row(_ job: Job) -> JobRow {
        let kind =
            switch job.kind {
            case .before: "before deployment \(job.deployment)"
            case .after: "after deployment \(job.deployment)"
            case .cron: "by schedule"
            case .manual: "by hand"
            case .exec: "command"
            }
        return JobRow(
            id: "\(job.id)", badge: StateBadge(state: job.state.rawValue), name: job.name, kind: kind, stage: job.stage, who: job.actor,
            when: time(job.createdAt), duration: duration(job.startedAt, job.finishedAt), problem: job.message)
    }
}
