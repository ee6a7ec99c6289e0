public import OCIModel

/// What happens to a claimed run, seen from its holder.
public enum RunEvent: Hashable, Sendable {
    /// A holder has claimed the run and begins, or goes on where another one was cut off.
    case takenUp
    /// The workspace shows the commit's files.
    case checkedOut
    /// What the steps so far left in the workspace is kept apart, see ``RunEffect/keep(_:)``.
    case kept
    case ended(step: String, attempt: Int, StepEnd)
    case built(Digest)
    case published
    /// Somebody asked for it to be cancelled; the reason is for the user.
    case cancelAsked(String)
    /// An effect came to nothing for a reason that is the run's own.
    case trouble(String)
    /// After ``RunEffect/stop``: nothing of the run is at work any more.
    case stopped
}

/// How a step's attempt ended.
public enum StepEnd: Hashable, Sendable {
    case succeeded
    case failed(exitCode: Int?, message: String)
    /// Nobody can tell how it ended, see ``StepState/lost``.
    case lost(String)
    /// It could not begin, and another attempt would not either.
    case refused(String)
}

/// What a holder has to do. Each can be repeated harmlessly: the next holder is asked for it again.
public enum RunEffect: Hashable, Sendable {
    /// Answered by ``RunEvent/checkedOut``.
    case checkOut
    /// Keep what these steps left before others write above it. Answered by ``RunEvent/kept``.
    case keep([String])
    /// Start a step's attempt, or find it, and wait for its end. Answered by ``RunEvent/ended(step:attempt:_:)``.
    ///
    /// `isNew`: no holder before this one can have begun it.
    case attend(step: String, attempt: Int, isNew: Bool)
    /// Remove what is left of a step that is over.
    case discard(String)
    /// Answered by ``RunEvent/built(_:)``.
    case build
    /// Answered by ``RunEvent/published``.
    case publish(Digest)
    /// Leave every other effect, and end the processes of these steps. Answered by ``RunEvent/stopped``.
    case stop([String])
}
