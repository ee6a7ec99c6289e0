import DeliveryModel
import Hummingbird
import PipelineEngine
import StateStore

/// `/api/v1/deployments/<number>`, and what may be done with one under way: `/api/v1/projects/<project>/stages/<stage>/resume` and `…/abort`.
func addRolloutAPI(to router: Router<WebContext>, _ parts: WebParts) {
    router.get("/api/v1/deployments/:deployment") { request, context -> Response in
        try await parts.access.requireReader(request)
        guard let id = context.parameters.get("deployment", as: Int64.self), let deployment = try await parts.store.deployment(id) else {
            throw RequestProblem.unknown("deployment", context.parameters.get("deployment") ?? "", hint: "see: slipway status")
        }
        var value = try DeploymentValue(deployment)
        value.events = try await parts.store.events(project: nil, run: nil, deployment: id, limit: 200).reversed().map(EventValue.init)
        return try json(value)
    }
    let base = "/api/v1/projects/:project/stages/:stage"
    router.post("\(base)/resume") { request, context -> Response in
        let actor = try await parts.access.requireActor(request)
        return try json(DeploymentValue(try await parts.engine.resume(try await place(request, context, parts), by: actor)), status: .accepted)
    }
    router.post("\(base)/abort") { request, context -> Response in
        let actor = try await parts.access.requireActor(request)
        return try json(DeploymentValue(try await parts.engine.abort(try await place(request, context, parts), by: actor)), status: .accepted)
    }
}

/// How far a deployment is.
public struct RolloutValue: Codable, Sendable {
    /// The new version's part of the requests, in percent.
    public var share: Double
    /// Counts from 1.
    public var wave: Int
    public var waves: [Wave]
    /// A person has to let it go on.
    public var waitsForPerson: Bool
    /// Seconds since 1970; nil when no time is waited for.
    public var heldUntil: Double?
    /// What the comparison of both versions says.
    public var verdict: String?

    public struct Wave: Codable, Sendable {
        /// Instances of the new version, and its part of the requests in percent.
        public var instances: Int
        public var share: Double
    }

    init?(_ deployment: Deployment) throws {
        guard let progress = try PipelineEngine.progress(of: deployment), !progress.waves.isEmpty else { return nil }
        share = Double(progress.share) / 10
        wave = progress.wave + 1
        waves = progress.waves.map { Wave(instances: $0.started, share: Double($0.share) / 10) }
        waitsForPerson = progress.waitsForPerson
        heldUntil = progress.heldUntil
        verdict = try PipelineEngine.report(of: deployment)?.verdict
    }
}
