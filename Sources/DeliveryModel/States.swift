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

/// The life of a deployment, entered by intent and left by observation.
public enum RolloutPhase: String, Codable, Hashable, Sendable, CaseIterable {
    /// Waits for the approvals its stage asks for.
    case awaitingApproval
    case queued, starting, warming, switching, confirming, draining, retiring, succeeded
    case reverting, failed
    /// Someone said no, or the approval expired.
    case rejected
    /// A newer deployment of the stage took its place before it began.
    case superseded

    public var isTerminal: Bool {
        switch self {
        case .succeeded, .failed, .rejected, .superseded: true
        default: false
        }
    }

    /// The phases that may follow this one; a phase may also be repeated after a crash.
    public var next: Set<RolloutPhase> {
        switch self {
        case .awaitingApproval: [.queued, .rejected, .superseded]
        case .queued: [.starting, .superseded, .failed]
        case .starting: [.warming, .reverting]
        case .warming: [.switching, .reverting]
        case .switching: [.confirming, .reverting]
        case .confirming: [.draining, .reverting]
        case .draining: [.retiring]
        case .retiring: [.succeeded]
        case .reverting: [.failed]
        case .succeeded, .failed, .rejected, .superseded: []
        }
    }
}
