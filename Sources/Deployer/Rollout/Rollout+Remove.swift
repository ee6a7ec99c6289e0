extension Rollout {
    /// Takes a deployment away for good: its route first, then its instances.
    public func remove(deployment: String, project: String, stage: String) async throws {
        try await router.remove(key: "\(project)/\(stage)")
        try await target.stop(deployment: deployment, grace: stopGrace)
    }
}
