/// What happened to a rollout, as observed.
public enum RolloutEvent: Hashable, Sendable {
    /// It is its turn.
    case begun(RolloutSchedule)
    case prepared, started, warm
    /// A job of the deployment ended, well when there is no problem.
    case jobEnded(String, problem: String?)
    /// The router has the shares of the wave. The mark is the place in the router's log from which the wave's requests are counted.
    case routed(mark: String?)
    case confirmed
    /// What the wave waits for is over.
    case waited(String?)
    case drained, retired
    /// The new version cannot be used.
    case unfit(String)
    /// A person wants it to end.
    case cancelAsked(String)
    case reverted(String)

    /// Why it goes back, when it does.
    public var reason: String? {
        switch self {
        case .unfit(let reason), .cancelAsked(let reason): reason
        case .jobEnded(_, let problem): problem
        case .begun, .prepared, .started, .warm, .routed, .confirmed, .waited, .drained, .retired, .reverted: nil
        }
    }
}

/// What is to be done in a phase. All of it looks first at what is there, and may be repeated after it was cut off anywhere.
public enum RolloutTask: Hashable, Sendable {
    case begin
    /// Makes the image available where the instances will live, and whatever else needs no instance.
    case prepare
    /// Runs a job to its end, once.
    case job(String, JobMoment)
    case start(instances: Int)
    case warm(instances: Int)
    /// Gives the new version its share.
    case route(RolloutShape)
    /// Makes sure that nothing else answers any more.
    case confirm(RolloutShape)
    /// Watches over both versions until the time is over, or a person says so.
    case hold(RolloutShape, RolloutStrategy.Hold, isJudged: Bool)
    /// Waits for the requests of the instances that are to go.
    case drain(RolloutShape)
    /// Stops the old instances but so many.
    case retire(kept: Int)
    /// Goes back to the version before.
    case revert
}

/// Who serves: the first instances of each version, and the new one's share in thousandths.
public struct RolloutShape: Hashable, Sendable {
    public var started: Int
    public var kept: Int
    public var share: Int

    public init(started: Int, kept: Int, share: Int) {
        self.started = started
        self.kept = kept
        self.share = share
    }
}
