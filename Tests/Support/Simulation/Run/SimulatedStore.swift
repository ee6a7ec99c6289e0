import DeliveryModel
import OCIModel

/// What a store keeps of one run, and the rules by which it lets it be changed.
struct SimulatedStore {
    struct StepRow: Equatable {
        var state: StepState = .waiting
        var attempt = 1
        var message: String?
        var hasBegun = false
    }

    let plan: SimulatedPlan
    var state: RunState = .queued
    var phase: RunPhase = .checkout
    var image: Digest?
    var failure: String?
    var isCancelAsked = false
    var steps: [StepRow]
    var epoch = 0
    /// By the store's clock.
    var leaseEnds = 0.0

    init(_ plan: SimulatedPlan) {
        self.plan = plan
        steps = plan.steps.map { _ in StepRow() }
    }

    /// The new epoch, or nil when nothing is due.
    mutating func claim(at now: Double) -> Int? {
        guard !state.isTerminal, leaseEnds <= now else { return nil }
        state = .running
        epoch += 1
        leaseEnds = now + Lease.seconds
        return epoch
    }

    mutating func renew(epoch: Int, at now: Double) -> Bool {
        guard epoch == self.epoch, state == .running else { return false }
        leaseEnds = now + Lease.seconds
        return true
    }

    /// False: not as it was any more. Throws what no holder may ever ask for.
    mutating func advance(epoch: Int, by change: RunChange) throws(Violation) -> Bool {
        guard epoch == self.epoch, state == .running else { return false }
        var next = steps
        for step in change.steps {
            guard let index = plan.index(of: step.name), next[index].state == step.from, next[index].attempt == step.attempt else {
                return false
            }
            try check(step, index, next)
            next[index].state = step.to
            next[index].message = step.message
            if step.isRetry { next[index].attempt += 1 }
            if step.to == .running { next[index].hasBegun = true }
        }
        steps = next
        phase = change.phase ?? phase
        image = change.image ?? image
        failure = change.failure ?? failure
        guard let end = change.end else { return true }
        try check(end)
        state = end.state
        return true
    }

    private func check(_ step: StepChange, _ index: Int, _ rows: [StepRow]) throws(Violation) {
        if step.from.isTerminal { throw Violation("step \(step.name) was \(step.from) and became \(step.to)") }
        if step.isRetry, rows[index].attempt > plan.steps[index].retries { throw Violation("step \(step.name) got one attempt too many") }
        if step.to == .running, !step.isRetry, plan.needs(index).contains(where: { rows[$0].state != .succeeded }) {
            throw Violation("step \(step.name) began before what it needs")
        }
    }

    private func check(_ end: RunEnd) throws(Violation) {
        if !state.next.contains(end.state) { throw Violation("a run that was \(state) became \(end.state)") }
        if steps.contains(where: { !$0.state.isTerminal }) { throw Violation("the run ended, a step of it did not") }
        switch end.state {
        case .succeeded:
            if steps.contains(where: { $0.state != .succeeded }) { throw Violation("it succeeded, a step of it did not") }
            if plan.builds, image == nil { throw Violation("it succeeded without its image") }
        case .cancelled:
            if !isCancelAsked { throw Violation("it was cancelled, and nobody had asked for it") }
        default:
            if end.error == nil { throw Violation("it failed, and nobody says why") }
        }
    }
}

enum Lease {
    static let seconds = 10.0
    /// The holder stops by its own clock when it has not renewed for so long.
    static let limit = 8.0
}

/// Something that must never happen.
public struct Violation: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// The run that is simulated: its steps, what they need, how each attempt ends.
struct SimulatedPlan {
    struct Step {
        var name: String
        var dependsOn: [String]
        var retries: Int
        /// Exit codes of the attempts.
        var codes: [Int]
    }

    var steps: [Step]
    var builds: Bool

    init(_ chance: inout Chance) {
        let count = chance.below(5)
        var steps: [Step] = []
        for number in 0..<count {
            let needs = steps.filter { _ in chance.oneIn(2) }.map(\.name)
            let retries = chance.oneIn(3) ? 1 + chance.below(2) : 0
            let codes = (0...retries).map { _ in chance.oneIn(4) ? 1 : 0 }
            steps.append(Step(name: "s\(number)", dependsOn: needs, retries: retries, codes: codes))
        }
        self.steps = steps
        builds = count == 0 || chance.oneIn(2)
    }

    func index(of name: String) -> Int? { steps.firstIndex { $0.name == name } }
    func needs(_ index: Int) -> [Int] { steps[index].dependsOn.compactMap(self.index) }
}
