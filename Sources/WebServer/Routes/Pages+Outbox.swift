import Hummingbird
import PipelineEngine
import StateStore

/// `/outbox`: for those who are signed in.
extension Pages {
    func addOutboxRoutes(to router: Router<WebContext>) {
        router.get("/outbox") { request, _ -> Response in
            guard try await parts.access.caller(of: request) != nil else { return redirect("/login?next=%2Foutbox") }
            let project = request.uri.queryParameters.get("project")
            let rows = try await outbox(parts, project: project, states: [.waiting, .dead], limit: 200).map { message in
                MessageRow(
                    id: "\(message.id)", isDead: message.state == OutboxMessage.State.dead.rawValue, event: message.event,
                    project: message.project, run: "\(message.run)", target: message.target, problem: message.problem,
                    attempts: message.attempts, when: time(message.createdAt))
            }
            var crumbs = [Crumb("Projects", url: "/")]
            if let project { crumbs.append(Crumb(project, url: PageURL.project(project))) }
            let shell = try await shell("Outbox", crumbs + [Crumb("Outbox")], request, isLive: true)
            return html(renderer.render(OutboxPage(shell: shell, messages: rows)))
        }
        for retry in [true, false] {
            router.post("/outbox/:message/\(retry ? "retry" : "discard")") { request, context -> Response in
                _ = try await authorizedForm(request)
                try await decide(try context.parameters.require("message"), retry: retry, parts)
                return redirect("/outbox?done=\(retry ? "resent" : "discarded")")
            }
        }
    }
}
