public import OCIModel

/// A claimed run as a state machine: state and event give the next state, what the store has to record, and what is to be
/// done then. Pure: it reads no clock, no file and no store; whoever holds the run does.
///
/// What is not in the store (what is being kept or stopped) is rebuilt by ``RunEvent/takenUp``. Events that come too late,
/// from effects begun before the state changed, change nothing.
public struct RunProgress: Hashable, Sendable {
    public private(set) var state: RunState
    public private(set) var phase: RunPhase
    public private(set) var image: Digest?
    public private(set) var steps: [StepProgress]
    /// Whether an image is made of the workspace.
    public let builds: Bool

    /// The steps that began since the workspace was kept last.
    private var batch: Set<String>
    private var isKeeping = false
    /// Why the holder before was about to end it, when it was.
    private let failure: String?
    /// What the run comes to once everything has stopped.
    private var ending: RunEnd?

    /// - Parameters:
    ///   - steps: in the order of the file.
    ///   - failure: the one recorded, see ``RunChange/failure``.
    ///   - batch: the steps that began, and whose changes to the workspace are not kept apart yet.
    public init(
        state: RunState = .running, phase: RunPhase = .checkout, image: Digest? = nil, failure: String? = nil,
        steps: [StepProgress], builds: Bool, batch: Set<String> = []
    ) {
        self.state = state
        self.phase = phase
        self.image = image
        self.steps = steps
        self.failure = failure
        self.builds = builds
        self.batch = batch
    }

    /// The next state, after which the change is to be recorded, and after that the effects carried out.
    public mutating func apply(_ event: RunEvent) -> (change: RunChange, effects: [RunEffect]) {
        var reaction = Reaction()
        guard !state.isTerminal else { return (reaction.change, reaction.effects) }
        switch event {
        case .takenUp where ending == nil: takeUp(&reaction)
        case .checkedOut where ending == nil && phase == .checkout:
            enter(.steps, &reaction)
            goOn(&reaction)
        case .kept where ending == nil && isKeeping:
            isKeeping = false
            batch = []
            goOn(&reaction)
        case .ended(let name, let attempt, let end) where ending == nil:
            guard let index = steps.firstIndex(where: { $0.name == name }), steps[index].state == .running,
                steps[index].attempt == attempt
            else { break }
            finish(index, end, &reaction)
        case .built(let digest) where ending == nil && phase == .build:
            image = digest
            reaction.change.image = digest
            enter(.push, &reaction)
            reaction.effects.append(.publish(digest))
        case .published where ending == nil && phase == .push: end(.init(.succeeded), &reaction)
        case .cancelAsked(let reason) where ending == nil: stop(.init(.cancelled, error: reason), &reaction)
        case .trouble(let reason) where ending == nil: fail(reason, &reaction)
        case .stopped:
            if let ending { end(ending, &reaction) }
        case .takenUp, .checkedOut, .kept, .ended, .built, .published, .cancelAsked, .trouble: break
        }
        return (reaction.change, reaction.effects)
    }

    private struct Reaction {
        var change = RunChange()
        var effects: [RunEffect] = []
    }

    private mutating func takeUp(_ reaction: inout Reaction) {
        if let failure { return stop(.init(.failed, error: failure), &reaction) }
        reaction.effects += steps.filter { $0.state.isTerminal && $0.hasBegun }.map { .discard($0.name) }
        switch phase {
        case .checkout: reaction.effects.append(.checkOut)
        case .steps:
            reaction.effects += steps.filter { $0.state == .running }
                .map { .attend(step: $0.name, attempt: $0.attempt, isNew: false) }
            goOn(&reaction)
        case .build: reaction.effects.append(.build)
        case .push:
            if let image {
                reaction.effects.append(.publish(image))
            } else {
                fail("the run's image was not recorded", &reaction)
            }
        case .release: end(.init(.succeeded), &reaction)
        }
    }

    /// Records a step's end, or begins its next attempt.
    private mutating func finish(_ index: Int, _ end: StepEnd, _ reaction: inout Reaction) {
        let step = steps[index]
        switch end {
        case .succeeded: move(index, to: .succeeded, exitCode: 0, &reaction)
        case .refused(let message): move(index, to: .failed, message: message, &reaction)
        case .failed(let exitCode, let message):
            if step.attempt <= step.retries { return retry(index, message, &reaction) }
            move(index, to: .failed, exitCode: exitCode, message: message, &reaction)
        case .lost(let message):
            if step.attempt <= step.retries { return retry(index, message, &reaction) }
            move(index, to: .lost, message: message, &reaction)
        }
        reaction.effects.append(.discard(step.name))
        goOn(&reaction)
    }

    private mutating func retry(_ index: Int, _ reason: String, _ reaction: inout Reaction) {
        let step = steps[index]
        let message = "attempt \(step.attempt) of \(step.retries + 1) failed: \(reason)"
        reaction.change.steps.append(
            StepChange(step.name, from: .running, attempt: step.attempt, to: .running, isRetry: true, message: message))
        steps[index].attempt += 1
        steps[index].message = message
        reaction.effects.append(.attend(step: step.name, attempt: step.attempt + 1, isNew: false))
    }

    /// Begins what can begin; when nothing is left to run, goes over to the image or ends the run.
    private mutating func goOn(_ reaction: inout Reaction) {
        skipWhatCannotBegin(&reaction)
        if steps.allSatisfy({ $0.state.isTerminal }) {
            if let culprit = steps.first(where: { $0.state == .failed || $0.state == .lost }) {
                let how = culprit.state == .lost ? "was lost" : "failed"
                end(.init(.failed, error: "step '\(culprit.name)' \(how)" + (culprit.message.map { ": \($0)" } ?? "")), &reaction)
            } else if builds {
                enter(.build, &reaction)
                reaction.effects.append(.build)
            } else {
                end(.init(.succeeded), &reaction)
            }
            return
        }
        let ready = steps.indices.filter { index in
            steps[index].state == .waiting && steps[index].dependsOn.allSatisfy { state(of: $0) == .succeeded }
        }
        if ready.isEmpty || isKeeping { return }
        // Nothing runs: what has succeeded so far can be kept apart from what comes.
        if !batch.isEmpty, batch.allSatisfy({ state(of: $0) == .succeeded }) {
            isKeeping = true
            reaction.effects.append(.keep(batch.sorted()))
            return
        }
        for index in ready {
            move(index, to: .running, &reaction)
            batch.insert(steps[index].name)
            reaction.effects.append(.attend(step: steps[index].name, attempt: steps[index].attempt, isNew: true))
        }
    }

    private mutating func skipWhatCannotBegin(_ reaction: inout Reaction) {
        var isSettled = false
        while !isSettled {
            isSettled = true
            for index in steps.indices where steps[index].state == .waiting {
                let stands = steps[index].dependsOn.contains { state(of: $0).isTerminal && state(of: $0) != .succeeded }
                if stands {
                    move(index, to: .skipped, &reaction)
                    isSettled = false
                }
            }
        }
    }

    private func state(of step: String) -> StepState { steps.first { $0.name == step }?.state ?? .succeeded }

    private mutating func move(
        _ index: Int, to state: StepState, exitCode: Int? = nil, message: String? = nil, _ reaction: inout Reaction
    ) {
        let step = steps[index]
        reaction.change.steps.append(
            StepChange(step.name, from: step.state, attempt: step.attempt, to: state, exitCode: exitCode, message: message))
        steps[index].state = state
        steps[index].message = message
        if state == .running { steps[index].hasBegun = true }
    }

    private mutating func enter(_ phase: RunPhase, _ reaction: inout Reaction) {
        self.phase = phase
        reaction.change.phase = phase
    }

    private mutating func stop(_ end: RunEnd, _ reaction: inout Reaction) {
        ending = end
        reaction.effects = [.stop(steps.filter { $0.state == .running }.map(\.name))]
    }

    /// The reason is recorded before processes are ended: whoever is cut off in between must not begin their steps again.
    private mutating func fail(_ reason: String, _ reaction: inout Reaction) {
        guard steps.contains(where: { $0.state == .running }) else { return end(.init(.failed, error: reason), &reaction) }
        reaction.change.failure = reason
        stop(.init(.failed, error: reason), &reaction)
    }

    private mutating func end(_ end: RunEnd, _ reaction: inout Reaction) {
        for index in steps.indices {
            switch steps[index].state {
            case .running: move(index, to: .cancelled, &reaction)
            case .waiting: move(index, to: end.state == .cancelled ? .cancelled : .skipped, &reaction)
            default: break
            }
        }
        state = end.state
        reaction.change.end = end
    }
}

/// What must be known of a step to go on with its run.
public struct StepProgress: Hashable, Sendable {
    public var name: String
    public var dependsOn: [String]
    /// Further attempts after a failed one.
    public var retries: Int
    public internal(set) var state: StepState
    /// Counts from 1.
    public internal(set) var attempt: Int
    /// Why it is in this state, or why the attempt before failed.
    public internal(set) var message: String?
    /// Whether it ever began in this run.
    public internal(set) var hasBegun: Bool

    public init(
        _ name: String, dependsOn: [String] = [], retries: Int = 0, state: StepState = .waiting, attempt: Int = 1,
        message: String? = nil, hasBegun: Bool = false
    ) {
        self.name = name
        self.dependsOn = dependsOn
        self.retries = retries
        self.state = state
        self.attempt = attempt
        self.message = message
        self.hasBegun = hasBegun
    }
}
