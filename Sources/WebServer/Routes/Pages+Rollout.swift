import DeliveryModel
import Hummingbird
import PipelineEngine
import StateStore

extension Pages {
    func rolloutPanel(_ deployment: Deployment, signedIn: Bool) throws -> RolloutPanel? {
        guard let progress = try PipelineEngine.progress(of: deployment) else { return nil }
        return RolloutPanel(
            progress, report: try PipelineEngine.report(of: deployment), deployment: "\(deployment.id)", signedIn: signedIn,
            now: parts.access.clock())
    }

    func addRolloutRoutes(to router: Router<WebContext>) {
        router.post("/deployments/:deployment/resume") { request, context -> Response in
            let (form, deployment, place) = try await rollout(request, context)
            _ = try await parts.engine.resume(place, by: form.actor)
            return redirect("\(PageURL.project(deployment.project))?done=resumed")
        }
        router.post("/deployments/:deployment/abort") { request, context -> Response in
            let (form, deployment, place) = try await rollout(request, context)
            _ = try await parts.engine.abort(place, by: form.actor)
            return redirect("\(PageURL.project(deployment.project))?done=aborted")
        }
    }

    /// The deployment of a form, and its stage.
    private func rollout(_ request: Request, _ context: WebContext) async throws -> (PostedForm, Deployment, StageName) {
        let form = try await authorizedForm(request)
        guard let id = context.parameters.get("deployment", as: Int64.self), let deployment = try await parts.store.deployment(id)
        else { throw RequestProblem(.notFound, "there is no such deployment", hint: "go back and reload") }
        guard !deployment.phase.isTerminal else {
            throw RequestProblem(.conflict, "deployment \(id) is over: it is \(deployment.phase.rawValue)", hint: "go back and reload")
        }
        return (form, deployment, try await parts.engine.stage(deployment.stage, of: deployment.project, pipeline: deployment.pipeline))
    }
}
