public import StateStore

extension Delivery {
    /// Given up because the server ended too often while it worked on it.
    public var isQuarantined: Bool { state == .failed && starts > PipelineEngine.startLimit }
}
