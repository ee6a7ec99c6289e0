extension Rollout {
    /// Takes a deployment away for good: the routes it owns, then its instances, wherever they are.
    public func remove(deployment: String) async throws {
        for target in targets.values { try await target.dismiss(deployment: deployment, by: nil) }
        try await router.forget(deployment: deployment)
        for target in targets.values { try await target.stop(deployment: deployment, grace: stopGrace, by: nil) }
    }

    /// To be called by a new holder before it looks at anything, with the targets it will act on; see ``Target/admit(_:)``.
    public func admit(_ claim: Claim, on names: Set<String>) async throws {
        for name in names { try await targets[name]?.admit(claim) }
    }

    /// The deployments that have instances or routes, whoever may have ordered them.
    public func deployments() async throws -> Set<String> {
        var all = try await router.deployments()
        for target in targets.values { all.formUnion(try await target.deployments()) }
        return all
    }
}
