import DeliveryModel

/// The record that the members of a train share, and what each of them has recorded last.
final class SimulatedTrain {
    var state = Train.State.open
    var members: [String: RolloutProgress] = [:]
    let requires: [String: Set<String>]

    init(requires: [String: Set<String>]) { self.requires = requires }

    func settle(_ decision: Train.State) -> Train.State {
        if state == .open { state = decision }
        return state
    }

    func signal(to pipeline: String, _ progress: RolloutProgress) -> RolloutEvent? {
        let all = members.map { TrainMember(pipeline: $0.key, progress: $0.value, requires: requires[$0.key] ?? []) }
        func signal() -> TrainSignal {
            Train(id: 1, project: "", name: "train", stage: "dev", state: state)
                .signal(for: TrainMember(pipeline: pipeline, progress: progress, requires: requires[pipeline] ?? []), among: all)
        }
        var now = signal()
        if case .commit = now {
            _ = settle(.committed)
            now = signal()
        }
        return progress.event(of: now)
    }
}

/// Two or three stages whose deployments go in one train, each with all that can happen to it: all of them come to serve or none.
public struct TrainSimulation {
    /// - Returns: whether it committed.
    /// - Throws: ``Violation`` with the seed.
    public static func run(seed: UInt64) throws(Violation) -> Bool {
        do { return try run(seed) } catch { throw Violation("train seed \(seed): \(error)") }
    }

    private static func run(_ seed: UInt64) throws(Violation) -> Bool {
        var chance = Chance(seed: seed)
        let names = ["api", "web", "worker"].prefix(2 + chance.below(2))
        var requires: [String: Set<String>] = [:]
        if chance.oneIn(2) { requires["web"] = ["api"] }
        if names.count == 3, chance.oneIn(2) { requires["worker"] = chance.oneIn(2) ? ["web", "api"] : ["api"] }
        let train = SimulatedTrain(requires: requires)
        var stages = names.enumerated().map {
            RolloutSimulation(seed: seed &* 31 &+ UInt64($0.offset), isTracing: false, train: train, pipeline: $0.element)
        }
        for _ in 0..<(60 + chance.below(160)) * stages.count { try stages[chance.below(stages.count)].shake() }
        for index in stages.indices { stages[index].calmDown() }
        for number in 0..<20_000 {
            if number % 16 == 0, stages.allSatisfy(\.isQuiet) { break }
            try stages[chance.below(stages.count)].anything()
        }
        for stage in stages { _ = try stage.end() }
        let succeeded = train.members.filter { $0.value.phase == .succeeded }
        guard succeeded.isEmpty || succeeded.count == names.count else {
            throw Violation("of a train only \(succeeded.keys.sorted()) came to serve: \(train.members.mapValues(\.phase))")
        }
        guard succeeded.isEmpty == (train.state != .committed) else {
            throw Violation("the train is \(train.state), and \(succeeded.keys.sorted()) serve")
        }
        return !succeeded.isEmpty
    }
}
