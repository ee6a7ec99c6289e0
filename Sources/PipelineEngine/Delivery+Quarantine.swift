public import StateStore

extension PipelineEngine {
    /// The ids, newest first.
    public func quarantinedDeliveries(of project: String) async throws -> [Int64] {
        try await parts.store.failedDeliveries(project: project, startedMoreThan: settings.startLimit)
    }

    /// Given up because the server ended too often while it worked on it.
    public func isQuarantined(_ delivery: Delivery) -> Bool { delivery.state == .failed && delivery.starts > settings.startLimit }
}
