/// Asks a monitoring system about a rollout.
public protocol MetricsQuery: Sendable {
    /// The series for which an expression is true, as an alerting rule has them: none when all is well.
    ///
    /// - Throws: ``ProbeFailure`` when there is no answer, or none that tells.
    func series(_ expression: String) async throws -> [String]
}
