/// When a release that is healthy in the stage before goes on to a stage.
public enum PromotionRule: Codable, Hashable, Sendable {
    case automatic
    /// When a person says so.
    case manual
    /// So many seconds later, unless a newer one has come meanwhile.
    case after(Double)
    /// When its commit has a tag that matches the pattern.
    case tag(String)
    case at(CronSchedule)

    public enum Decision: Hashable, Sendable {
        case now
        /// Not before then.
        case later(Double)
        /// Something else has to happen first.
        case waiting(String)
    }

    /// - Parameters:
    ///   - since: when the release became what is live in the stage before. Seconds since 1970.
    ///   - isTagged: whether the commit has a tag that matches a pattern.
    public func decision(since: Double, at time: Double, isTagged: (String) -> Bool) -> Decision {
        switch self {
        case .automatic: return .now
        case .manual: return .waiting("somebody to promote it")
        case .after(let seconds): return time >= since + seconds ? .now : .later(since + seconds)
        case .tag(let pattern): return isTagged(pattern) ? .now : .waiting("a tag '\(pattern)' at its commit")
        case .at(let schedule):
            guard let moment = schedule.next(after: since) else { return .waiting("a time that never comes") }
            return time >= moment ? .now : .later(moment)
        }
    }
}
