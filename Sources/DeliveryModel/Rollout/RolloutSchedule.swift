/// One step of a rollout: so many new instances get so large a share of the requests, then so many old ones stay.
public struct RolloutWave: Codable, Hashable, Sendable {
    /// Instances of the new version that run.
    public var started: Int
    /// The new version's share of the requests in thousandths; 1000 is the switch.
    public var share: Int
    /// What is waited for with that share.
    public var hold: RolloutStrategy.Hold?
    /// Whether the two versions are compared meanwhile.
    public var isJudged: Bool
    /// Instances of the old version that stay afterwards.
    public var kept: Int

    public init(started: Int, share: Int, hold: RolloutStrategy.Hold? = nil, isJudged: Bool = false, kept: Int) {
        self.started = started
        self.share = share
        self.hold = hold
        self.isJudged = isJudged
        self.kept = kept
    }
}

/// What a strategy means for so many instances.
public struct RolloutSchedule: Hashable, Sendable {
    public var strategy: RolloutStrategy
    /// Instances of the new version, at least one.
    public var wanted: Int
    /// Instances of the version that serves; 0 when none does.
    public var serving: Int
    /// Whether requests come by a route; without one there are no shares.
    public var isRouted: Bool
    /// Seconds after the switch for which the old instances stay ready.
    public var soak: Double
    /// Whether it waits for others; see ``Train``.
    public var isInTrain: Bool
    /// The names of its jobs, in the order in which they run.
    public var before: [String]
    public var after: [String]

    public init(
        strategy: RolloutStrategy = .blueGreen(.init()), wanted: Int, serving: Int, isRouted: Bool = true, soak: Double = 0,
        isInTrain: Bool = false, before: [String] = [], after: [String] = []
    ) {
        self.strategy = strategy
        self.wanted = wanted
        self.serving = serving
        self.isRouted = isRouted
        self.soak = soak
        self.isInTrain = isInTrain
        self.before = before
        self.after = after
    }

    /// The waves, the last of which has everything switched and no old instance left.
    public var waves: [RolloutWave] {
        guard serving > 0 else { return [last] }
        switch strategy {
        case .blueGreen(let options):
            guard isRouted, options.pause != nil || options.preview != nil else { return [last] }
            return [RolloutWave(started: wanted, share: 0, hold: options.pause, kept: serving), last]
        case .canary(let options):
            guard isRouted else { return [last] }
            return options.weights.map { weight in
                RolloutWave(
                    started: min(wanted, max(1, (wanted * weight + 999) / 1000)), share: weight, hold: options.hold,
                    isJudged: options.abortIf != nil, kept: serving)
            } + [last]
        case .rolling(let options): return rolling(options)
        }
    }

    private var last: RolloutWave {
        RolloutWave(started: wanted, share: 1000, hold: soak > 0 && serving > 0 ? .seconds(soak) : nil, kept: 0)
    }

    /// At least one instance serves at any moment, whatever the options say; in a train an old one stays until it commits.
    private func rolling(_ options: RolloutStrategy.Rolling) -> [RolloutWave] {
        var waves: [RolloutWave] = []
        var (new, old) = (0, serving)
        func least(_ new: Int) -> Int { new == 0 || (isInTrain && new < wanted) ? 1 : 0 }
        while true {
            var added = min(wanted - new, max(0, wanted + options.maxSurge - new - old))
            var kept = min(old, max(least(new + added), wanted - options.maxUnavailable - new - added))
            if added == 0, kept == old {
                // Nothing may go and nothing may come: one more than wanted it is.
                added = 1
                kept = min(old, max(least(new + added), wanted - options.maxUnavailable - new - added))
            }
            (new, old) = (new + added, kept)
            if new == wanted, old == 0 { return waves + [last] }
            let share = new == 0 ? 0 : max(1, 1000 * new / (new + kept))
            waves.append(RolloutWave(started: new, share: share, kept: kept))
        }
    }
}
