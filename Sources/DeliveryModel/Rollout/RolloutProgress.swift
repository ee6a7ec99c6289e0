/// A deployment under way as a state machine: each state is entered by an intent that was recorded, and left by what was
/// observed. Pure: it reads no clock, no router and no target.
///
/// State says what is to be done (``task``), so whoever takes a deployment over needs nothing else.
public struct RolloutProgress: Codable, Hashable, Sendable {
    public private(set) var phase: RolloutPhase
    public private(set) var waves: [RolloutWave]
    /// The number of the wave under way.
    public private(set) var wave: Int
    /// When the phase began: seconds since 1970 by the server's clock.
    public private(set) var since: Double
    /// The new version's share that the router has for certain, in thousandths.
    public private(set) var share: Int
    /// Instances of the old version that still run.
    public private(set) var kept: Int
    /// From where the requests of the wave are counted; see ``RolloutEvent/routed(mark:)``.
    public private(set) var mark: String?
    /// Why it goes back, and what it comes to then.
    public private(set) var ending: Ending?
    /// Set in a ``Train``.
    private var inTrain: Bool?
    /// Nil without jobs.
    public private(set) var jobs: RolloutJobs?

    public struct Ending: Codable, Hashable, Sendable {
        public var phase: RolloutPhase
        public var reason: String

        public init(_ phase: RolloutPhase, _ reason: String) {
            self.phase = phase
            self.reason = reason
        }
    }

    /// One that has not begun, or was begun with another schedule than this.
    public init(phase: RolloutPhase = .queued, schedule: RolloutSchedule? = nil, since: Double = 0, ending: Ending? = nil) {
        self.phase = phase
        self.since = since
        self.ending = ending
        // Whoever has not recorded a schedule switched everything at once.
        waves = schedule.map { Array($0.waves.suffix(1)) } ?? []
        wave = 0
        share = 0
        kept = schedule?.serving ?? 0
    }

    /// What is to be done now; nil when it is over, or not to be begun yet.
    public var task: RolloutTask? {
        switch phase {
        case .queued: .begin
        case .preparing: jobs?.nextBefore.map { .job($0, .before) } ?? .prepare
        case .starting: .start(instances: current.started)
        case .warming: .warm(instances: current.started)
        case .weighting, .switching: .route(shape)
        case .confirming: .confirm(shape)
        case .pausing, .analysing: current.hold.map { .hold(shape, $0, isJudged: phase == .analysing) }
        // The new instances get nothing yet.
        case .joining: .hold(RolloutShape(started: current.started, kept: kept, share: 0), .manual, isJudged: false)
        // The old instances get nothing, and stay ready.
        case .soaking: current.hold.map { .hold(switched, $0, isJudged: false) }
        case .committing: .hold(switched, .manual, isJudged: false)
        case .draining: .drain(shape)
        case .retiring: jobs?.nextAfter.map { .job($0, .after) } ?? .retire(kept: current.kept)
        case .reverting: .revert
        case .awaitingApproval, .succeeded, .reverted, .failed, .cancelled, .rejected, .superseded: nil
        }
    }

    /// The wave under way.
    public var current: RolloutWave {
        waves.indices.contains(wave) ? waves[wave] : RolloutWave(started: 1, share: 1000, kept: 0)
    }

    /// Old instances that the wave is going to stop get nothing any more.
    private var shape: RolloutShape { RolloutShape(started: current.started, kept: current.kept, share: current.share) }

    private var switched: RolloutShape { RolloutShape(started: current.started, kept: kept, share: 1000) }

    /// Whether the others of its train are waited for.
    public var waitsForTrain: Bool { phase == .joining || phase == .committing }

    /// Until when the present hold lasts; nil when there is none, or a person ends it.
    public var heldUntil: Double? {
        guard case .hold(_, .seconds(let seconds), _) = task else { return nil }
        return since + seconds
    }

    /// Whether a person is waited for.
    public var waitsForPerson: Bool {
        if case .hold(_, .manual, _) = task { return !waitsForTrain }
        return false
    }

    /// The next state. Events that come too late, from what was begun before the state changed, change nothing.
    ///
    /// - Parameter now: seconds since 1970 by the server's clock.
    /// - Returns: whether anything changed.
    @discardableResult
    public mutating func apply(_ event: RolloutEvent, at now: Double) -> Bool {
        let before = self
        switch (phase, event) {
        case (.queued, .begun(let schedule)):
            waves = schedule.waves
            kept = schedule.serving
            inTrain = schedule.isInTrain ? true : nil
            jobs = RolloutJobs(before: schedule.before, after: schedule.after)
            phase = .preparing
        case (.preparing, .prepared):
            jobs?.isPrepared = true
            if jobs?.nextBefore == nil { phase = .starting }
        case (.preparing, .jobEnded(let name, let problem)):
            guard jobs?.end(name, failed: problem != nil) == true else { return false }
            if let problem { end(Ending(.failed, problem)) } else if jobs?.nextBefore == nil { phase = .starting }
        case (.retiring, .jobEnded(let name, let problem)):
            // What failed is told; the release has proved itself by then.
            guard jobs?.end(name, failed: problem != nil) == true else { return false }
            if jobs?.nextAfter == nil { phase = .succeeded }
        case (.starting, .started): phase = .warming
        case (.warming, .warm): if inTrain == true, wave == 0 { phase = .joining } else { giveShare() }
        case (.joining, .waited): giveShare()
        case (.weighting, .routed(let mark)):
            share = current.share
            self.mark = mark
            if current.hold == nil { goOn() } else { phase = current.isJudged ? .analysing : .pausing }
        case (.switching, .routed): phase = .confirming
        case (.confirming, .confirmed):
            share = 1000
            if current.hold == nil { commit() } else { phase = .soaking }
        case (.soaking, .waited): commit()
        case (.pausing, .waited), (.analysing, .waited), (.committing, .waited): goOn()
        case (.draining, .drained): phase = .retiring
        case (.retiring, .retired) where jobs?.isFinishing != true:
            kept = current.kept
            next()
        case (.queued, .unfit(let reason)), (.preparing, .unfit(let reason)): end(Ending(.failed, reason))
        case (_, .unfit(let reason)) where canGoBack: revert(Ending(.reverted, reason))
        case (.queued, .cancelAsked(let reason)), (.preparing, .cancelAsked(let reason)): end(Ending(.cancelled, reason))
        case (_, .cancelAsked(let reason)) where canGoBack: revert(Ending(.cancelled, reason))
        case (.reverting, .reverted): phase = ending?.phase ?? .reverted
        default: return false
        }
        if phase != before.phase || wave != before.wave { since = now }
        return self != before
    }

    /// Whether the version before is still there to go back to, and something was begun that would have to go.
    public var canGoBack: Bool {
        switch phase {
        case .starting, .warming, .joining, .weighting, .pausing, .analysing, .switching, .confirming, .soaking, .committing: true
        // A train that has committed does not turn round.
        case .draining: inTrain != true || current.kept > 0
        // Between waves there are others left; in the last one they are being stopped.
        case .retiring: current.kept > 0
        case .awaitingApproval, .queued, .preparing, .reverting, .succeeded, .reverted, .failed, .cancelled, .rejected, .superseded: false
        }
    }

    private mutating func giveShare() { phase = current.share == 1000 ? .switching : .weighting }

    private mutating func commit() {
        if inTrain == true { phase = .committing } else { goOn() }
    }

    private mutating func goOn() {
        if kept > current.kept { phase = .draining } else { next() }
    }

    private mutating func next() {
        if wave + 1 < waves.count {
            wave += 1
            phase = .starting
        } else if jobs?.after.isEmpty == false {
            jobs?.isFinishing = true
            phase = .retiring
        } else {
            phase = .succeeded
        }
    }

    private mutating func revert(_ ending: Ending) {
        self.ending = ending
        phase = .reverting
    }

    private mutating func end(_ ending: Ending) {
        self.ending = ending
        phase = ending.phase
    }
}
