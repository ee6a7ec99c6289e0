public import DeliveryModel

/// What a phase came to.
public enum RolloutEvent: Hashable, Sendable, CaseIterable {
    case accepted, superseded
    case started, warm, switched, confirmed, drained, retired
    /// The new instances cannot be used; the previous ones stay or come back.
    case unfit
    case reverted

    /// Applied to a phase: the next one. Pure; the only place where the order of phases is decided.
    ///
    /// - Throws: `.illegalTransition` when the event cannot happen in that phase.
    public func next(after phase: RolloutPhase) throws(DeployerError) -> RolloutPhase {
        switch (phase, self) {
        case (.queued, .accepted): return .starting
        case (.queued, .superseded): return .superseded
        case (.starting, .started): return .warming
        case (.warming, .warm): return .switching
        case (.switching, .switched): return .confirming
        case (.confirming, .confirmed): return .draining
        case (.draining, .drained): return .retiring
        case (.retiring, .retired): return .succeeded
        case (.starting, .unfit), (.warming, .unfit), (.switching, .unfit), (.confirming, .unfit): return .reverting
        case (.reverting, .reverted): return .failed
        default:
            throw DeployerError(
                .illegalTransition, "a rollout that is \(phase.rawValue) cannot become \(self)",
                hint: "this is a mistake in the caller: advance only what is under way")
        }
    }
}
