/// The life of a run.
public enum RunState: String, Codable, Hashable, Sendable, CaseIterable {
    case queued, running, succeeded, failed, cancelled
    /// The pipeline file at the commit is not valid; the run shows the diagnostic.
    case invalid

    public var isTerminal: Bool {
        switch self {
        case .queued, .running: false
        case .succeeded, .failed, .cancelled, .invalid: true
        }
    }

    /// The states that may follow this one.
    public var next: Set<RunState> {
        switch self {
        case .queued: [.running, .cancelled, .invalid, .failed]
        case .running: [.succeeded, .failed, .cancelled]
        case .succeeded, .failed, .cancelled, .invalid: []
        }
    }
}

/// Where a running run is. Each phase is entered by a committed intent and can be repeated harmlessly.
public enum RunPhase: String, Codable, Hashable, Sendable, CaseIterable {
    case checkout, steps, build, push, release
}

/// The life of a step.
public enum StepState: String, Codable, Hashable, Sendable, CaseIterable {
    case waiting, running, succeeded, failed, skipped, cancelled
    /// It began, and nobody can tell any more how it ended; it is not run again unasked.
    case lost

    public var isTerminal: Bool { self != .waiting && self != .running }
}

/// The life of a job.
public enum JobState: String, Codable, Hashable, Sendable, CaseIterable {
    case queued
    /// Its container may be there, or not yet.
    case starting
    /// Its container has been seen.
    case running
    /// It is to end, and how that counts is known.
    case stopping
    case succeeded, failed, cancelled
    /// Not run, because the one before had not ended.
    case skipped
    /// It began, and nobody can tell any more how it ended; it is not run again.
    case lost

    public var isTerminal: Bool {
        switch self {
        case .queued, .starting, .running, .stopping: false
        case .succeeded, .failed, .cancelled, .skipped, .lost: true
        }
    }
}

/// The life of a deployment, entered by intent and left by observation; see ``RolloutProgress``.
public enum RolloutPhase: String, Codable, Hashable, Sendable, CaseIterable {
    /// Waits for the approvals its stage asks for.
    case awaitingApproval
    case queued, preparing, starting, warming
    /// Its instances are warm, those of the others of its train not all; see ``Train``.
    case joining
    /// The new version gets a share of the requests.
    case weighting
    /// Both versions serve for a time, or until a person says so.
    case pausing
    /// Both versions serve and are compared.
    case analysing
    /// The new version gets all requests.
    case switching, confirming
    /// The old instances stay ready for a time.
    case soaking
    /// It has switched, the others of its train not all.
    case committing
    case draining, retiring, succeeded
    /// On the way back to the version before.
    case reverting, reverted
    /// It could not begin.
    case failed
    /// A person ended it; the version before serves.
    case cancelled
    /// Someone said no, or the approval expired.
    case rejected
    /// A newer deployment of the stage took its place before it began.
    case superseded

    public var isTerminal: Bool {
        switch self {
        case .succeeded, .reverted, .failed, .cancelled, .rejected, .superseded: true
        case .awaitingApproval, .queued, .preparing, .starting, .warming, .joining, .weighting, .pausing, .analysing, .switching, .confirming,
            .soaking, .committing, .draining, .retiring, .reverting:
            false
        }
    }

    /// It does not come to serve any more.
    public var isLost: Bool { self == .reverting || (isTerminal && self != .succeeded) }

    /// Whether it has begun and is not over: at most one deployment of a stage is.
    public var isActive: Bool { !isTerminal && self != .awaitingApproval && self != .queued }

    /// The phases that may follow this one; a phase may also be repeated after a crash.
    public var next: Set<RolloutPhase> {
        switch self {
        case .awaitingApproval: [.queued, .rejected, .superseded]
        case .queued: [.preparing, .superseded, .cancelled, .failed]
        // A job after the other.
        case .preparing: [.preparing, .starting, .cancelled, .failed]
        case .starting: [.warming, .reverting]
        case .warming: [.joining, .weighting, .switching, .reverting]
        case .joining: [.weighting, .switching, .reverting]
        case .weighting: [.pausing, .analysing, .draining, .starting, .reverting]
        case .pausing, .analysing: [.draining, .starting, .reverting]
        case .switching: [.confirming, .reverting]
        case .confirming: [.soaking, .committing, .draining, .retiring, .succeeded, .reverting]
        case .soaking: [.committing, .draining, .retiring, .succeeded, .reverting]
        case .committing: [.draining, .retiring, .succeeded, .reverting]
        case .draining: [.retiring, .reverting]
        case .retiring: [.retiring, .starting, .succeeded, .reverting]
        case .reverting: [.reverted, .cancelled]
        case .succeeded, .reverted, .failed, .cancelled, .rejected, .superseded: []
        }
    }
}
