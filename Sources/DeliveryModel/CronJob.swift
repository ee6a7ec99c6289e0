/// A job that runs again and again in the image that is live.
public struct CronJob: Codable, Hashable, Sendable {
    public var job: ServiceJob
    public var schedule: CronSchedule
    /// Whether it begins while the one before has not ended.
    public var overlaps: Bool

    public init(_ job: ServiceJob, schedule: CronSchedule, overlaps: Bool = false) {
        self.job = job
        self.schedule = schedule
        self.overlaps = overlaps
    }

    /// When it is due: the last of its times that is over, and later than `handled`. Times that were missed since then count as one.
    public func due(at now: Double, after handled: Double) -> Double? {
        schedule.last(until: now, notBefore: handled).flatMap { $0 > handled ? $0 : nil }
    }
}
