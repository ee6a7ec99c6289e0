extension Rollout {
    /// Takes a deployment away for good: the routes it owns, then its instances.
    public func remove(deployment: String) async throws {
        try await router.forget(deployment: deployment)
        try await target.stop(deployment: deployment, grace: stopGrace)
    }

    /// The deployments that have instances or routes, whoever may have ordered them.
    public func deployments() async throws -> Set<String> {
        try await target.deployments().union(router.deployments())
    }
}
