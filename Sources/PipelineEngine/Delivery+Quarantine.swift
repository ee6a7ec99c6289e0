public import StateStore

extension PipelineEngine {
    /// The ids, newest first.
    public func quarantinedDeliveries(of project: String) async throws -> [Int64] {
        try await parts.store.failedDeliveries(project: project, startedMoreThan: Self.startLimit)
    }
}

extension Delivery {
    /// Given up because the server ended too often while it worked on it.
    public var isQuarantined: Bool { state == .failed && starts > PipelineEngine.startLimit }
}
