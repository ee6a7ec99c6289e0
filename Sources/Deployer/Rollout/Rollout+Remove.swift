extension Rollout {
    /// Takes a deployment away for good: the routes it owns, then its instances.
    public func remove(deployment: String) async throws {
        try await target.dismiss(deployment: deployment, by: nil)
        try await router.forget(deployment: deployment)
        try await target.stop(deployment: deployment, grace: stopGrace, by: nil)
    }

    /// To be called by a new holder before it looks at anything; see ``Target/admit(_:)``.
    public func admit(_ claim: Claim) async throws { try await target.admit(claim) }

    /// The deployments that have instances or routes, whoever may have ordered them.
    public func deployments() async throws -> Set<String> {
        try await target.deployments().union(router.deployments())
    }
}
