/// What can start a run.
public enum Event: String, Codable, Sendable, Hashable, CaseIterable {
    case push
    case pullRequest = "pull_request"
    case tag, cron, manual
}

/// One entry of `when`: all of its conditions must hold.
public struct Trigger: Codable, Sendable, Equatable {
    /// `when` without `event`: pushes, and runs started by hand.
    public static let defaultEvents: Set<Event> = [.push, .manual]

    public var events: Set<Event>
    /// Tested for pushes, pull requests (the branch they go to) and runs by hand and by schedule; a tag has no branch.
    public var branches: GlobFilter
    /// Tested for pushes and pull requests.
    public var paths: GlobFilter

    public init(
        events: Set<Event> = Trigger.defaultEvents, branches: GlobFilter = GlobFilter(),
        paths: GlobFilter = GlobFilter()
    ) {
        self.events = events
        self.branches = branches
        self.paths = paths
    }

    private enum CodingKeys: String, CodingKey { case events, branches, paths }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        events = Set(try container.decode([Event].self, forKey: .events))
        branches = try container.decode(GlobFilter.self, forKey: .branches)
        paths = try container.decode(GlobFilter.self, forKey: .paths)
    }

    /// Events are written in a fixed order, so that equal plans are equal bytes.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Event.allCases.filter(events.contains), forKey: .events)
        try container.encode(branches, forKey: .branches)
        try container.encode(paths, forKey: .paths)
    }
}

/// Glob patterns (`*` and `?` stay within one path component, `**` crosses them).
public struct GlobFilter: Codable, Sendable, Equatable {
    /// Empty = everything.
    public var include: [String]
    /// Wins over `include`.
    public var exclude: [String]

    public init(include: [String] = [], exclude: [String] = []) {
        self.include = include
        self.exclude = exclude
    }

    /// True when the filter lets everything through.
    public var isEmpty: Bool { include.isEmpty && exclude.isEmpty }

    public func matches(_ text: String) -> Bool {
        if exclude.contains(where: { Glob($0).matches(text) }) { return false }
        return include.isEmpty || include.contains { Glob($0).matches(text) }
    }
}

/// Whether something that happened starts a run.
public enum MatchOutcome: Sendable, Equatable {
    case matches
    /// Why not, for people.
    case skipped(reason: String)
}

extension PipelinePlan {
    /// Whether this pipeline runs for an event.
    ///
    /// - Parameters:
    ///   - branch: the branch name without `refs/heads/`; for a pull request the branch it goes to; nil for a tag.
    ///   - changedPaths: paths the commits changed; nil or empty when that is not known, and then path filters pass.
    public func matches(event: Event, branch: String?, changedPaths: [String]?) -> MatchOutcome {
        var reasons: [String] = []
        for trigger in when {
            switch trigger.matches(event: event, branch: branch, changedPaths: changedPaths) {
            case .matches: return .matches
            case .skipped(let reason):
                if !reasons.contains(reason) { reasons.append(reason) }
            }
        }
        return .skipped(reason: reasons.isEmpty ? "no trigger" : reasons.joined(separator: "; "))
    }
}

extension Trigger {
    /// Whether this one entry holds; see ``PipelinePlan/matches(event:branch:changedPaths:)``.
    public func matches(event: Event, branch: String?, changedPaths: [String]?) -> MatchOutcome {
        guard events.contains(event) else {
            let wanted = Event.allCases.filter(events.contains).map(\.rawValue).joined(separator: ", ")
            return .skipped(reason: "event \(event.rawValue) is not \(wanted)")
        }
        if event != .tag, let branch, !branches.matches(branch) {
            return .skipped(reason: "branch \(branch) is filtered out")
        }
        if event == .push || event == .pullRequest, !paths.isEmpty, let changedPaths, !changedPaths.isEmpty,
            !paths.matchesAny(of: changedPaths)
        {
            return .skipped(reason: "none of the \(changedPaths.count) changed paths is wanted")
        }
        return .matches
    }
}

extension GlobFilter {
    /// True when at least one of `texts` passes. Patterns are prepared once.
    func matchesAny(of texts: [String]) -> Bool {
        let included = include.map { Glob($0) }
        let excluded = exclude.map { Glob($0) }
        return texts.contains { text in
            !excluded.contains { $0.matches(text) } && (included.isEmpty || included.contains { $0.matches(text) })
        }
    }
}
