extension Rollout {
    /// Takes a deployment away for good: its route, unless another deployment owns it by now, then its instances.
    public func remove(deployment: String, project: String, stage: String) async throws {
        let key = "\(project)/\(stage)"
        if try await router.currentRoute(key: key)?.deployment == deployment { try await router.remove(key: key) }
        try await target.stop(deployment: deployment, grace: stopGrace)
    }
}
