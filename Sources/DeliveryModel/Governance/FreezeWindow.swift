/// A time, again and again, in which no deployment begins.
public struct FreezeWindow: Codable, Hashable, Sendable {
    /// When it begins.
    public var cron: CronSchedule
    /// Seconds that pass from its beginning to its end.
    public var seconds: Double

    public init(cron: CronSchedule, seconds: Double) {
        self.cron = cron
        self.seconds = seconds
    }

    /// When the freeze that there is at `time` ends; nil when there is none. Seconds since 1970.
    public func end(at time: Double) -> Double? {
        guard let start = cron.last(until: time, notBefore: time - seconds), start + seconds > time else { return nil }
        return start + seconds
    }
}

/// Whether a deployment may begin now.
public enum FreezeDecision: Hashable, Sendable {
    case open
    /// Until then, by windows that follow each other without a gap; nil: nobody can say when.
    case frozen(until: Double?)

    /// - Parameters:
    ///   - windows: of the stage and of the server.
    ///   - isRollback: what was there before may always come back.
    ///   - isOverridden: somebody has said, with a reason, that it goes ahead all the same.
    public static func at(_ time: Double, windows: [FreezeWindow], isRollback: Bool = false, isOverridden: Bool = false) -> FreezeDecision {
        guard !isRollback, !isOverridden else { return .open }
        var end = time
        // Windows may follow each other for ever, as a week that begins every week.
        for _ in 0..<1000 {
            guard let later = windows.compactMap({ $0.end(at: end) }).max() else { return end == time ? .open : .frozen(until: end) }
            end = later
            if end > time + 400 * 86_400 { break }
        }
        return .frozen(until: nil)
    }
}
