public import OCIModel

/// What one event changes of a run in the store: all of it, or nothing when any of it is not any more as it was.
public struct RunChange: Hashable, Sendable {
    public var phase: RunPhase?
    public var image: Digest?
    /// Why it is going to fail once its steps have been stopped.
    public var failure: String?
    public var steps: [StepChange]
    public var end: RunEnd?

    public init(
        phase: RunPhase? = nil, image: Digest? = nil, failure: String? = nil, steps: [StepChange] = [], end: RunEnd? = nil
    ) {
        self.phase = phase
        self.image = image
        self.failure = failure
        self.steps = steps
        self.end = end
    }

    public var isEmpty: Bool { self == RunChange() }
}

/// A step's next state, from the state and attempt it is in.
public struct StepChange: Hashable, Sendable {
    public var name: String
    public var from: StepState
    /// The attempt before the change; counts from 1.
    public var attempt: Int
    public var to: StepState
    /// The failed attempt is followed by another one; the step stays `running`.
    public var isRetry: Bool
    public var exitCode: Int?
    public var message: String?

    public init(
        _ name: String, from: StepState, attempt: Int = 1, to: StepState, isRetry: Bool = false, exitCode: Int? = nil,
        message: String? = nil
    ) {
        self.name = name
        self.from = from
        self.attempt = attempt
        self.to = to
        self.isRetry = isRetry
        self.exitCode = exitCode
        self.message = message
    }
}

public struct RunEnd: Hashable, Sendable {
    /// A terminal one.
    public var state: RunState
    /// Why it did not succeed, in words.
    public var error: String?

    public init(_ state: RunState, error: String? = nil) {
        self.state = state
        self.error = error
    }
}
