/// Deployments of several pipelines to one stage that switch all together or not at all.
///
/// An atomic commitment in two phases: every member warms its instances and waits (``RolloutPhase/joining``), gives them all
/// requests, and waits once more with its old instances still there (``RolloutPhase/committing``). One record, written once, says
/// whether the old ones go or everybody goes back. See Gray, Lamport: Consensus on Transaction Commit, 2006, section 3.
public struct Train: Codable, Hashable, Sendable {
    public enum State: String, Codable, Hashable, Sendable {
        case open
        /// Every member has switched: the versions before may go.
        case committed
        /// One member could not: all go back.
        case aborted
    }

    public var id: Int64
    public var project: String
    public var name: String
    public var stage: String
    public var state: State
    /// Why it was aborted.
    public var reason: String?
    public var createdAt: Double

    public init(id: Int64, project: String, name: String, stage: String, state: State = .open, reason: String? = nil, createdAt: Double = 0) {
        self.id = id
        self.project = project
        self.name = name
        self.stage = stage
        self.state = state
        self.reason = reason
        self.createdAt = createdAt
    }
}

/// One deployment of a train, as the others see it.
public struct TrainMember: Hashable, Sendable {
    public var pipeline: String
    public var progress: RolloutProgress
    /// The pipelines that have to have switched before this one does.
    public var requires: Set<String>

    public init(pipeline: String, progress: RolloutProgress, requires: Set<String> = []) {
        self.pipeline = pipeline
        self.progress = progress
        self.requires = requires
    }
}

/// What a train means for a member now.
public enum TrainSignal: Hashable, Sendable {
    /// Not yet, because of these pipelines.
    case wait([String])
    case go
    /// All have switched: whoever sees it first records it.
    case commit
    case goBack(String)
}

extension Train {
    /// What `member` is to do at its gate, or wherever it is, as the members stand.
    public func signal(for member: TrainMember, among members: [TrainMember]) -> TrainSignal {
        switch state {
        case .committed: return .go
        case .aborted: return .goBack("the train '\(name)' goes back: \(reason ?? "one of it failed")")
        case .open: break
        }
        if let lost = members.first(where: \.progress.phase.isLost) {
            return .goBack("\(lost.pipeline) of the train '\(name)' is \(lost.progress.phase.rawValue)")
        }
        let others = members.filter { $0.pipeline != member.pipeline }
        switch member.progress.phase {
        case .joining:
            let missing = others.filter { !$0.progress.hasJoined || (member.requires.contains($0.pipeline) && !$0.progress.hasSwitched) }
            return missing.isEmpty ? .go : .wait(missing.map(\.pipeline).sorted())
        case .committing:
            let missing = others.filter { !$0.progress.isReadyToCommit }
            return missing.isEmpty ? .commit : .wait(missing.map(\.pipeline).sorted())
        default: return .wait([])
        }
    }

    /// Pipelines that require each other in a circle, in their order; empty when there are none.
    public static func circle(in requires: [String: Set<String>]) -> [String] {
        var left = requires
        while let free = left.first(where: { $0.value.isDisjoint(with: left.keys) })?.key { left[free] = nil }
        guard var at = left.keys.min() else { return [] }
        var path: [String] = []
        while !path.contains(at) {
            path.append(at)
            guard let next = left[at]?.filter({ left[$0] != nil }).min() else { return [] }
            at = next
        }
        return Array(path.drop { $0 != at }) + [at]
    }
}

extension RolloutProgress {
    /// What happens to a member that its train tells this; nil when it goes on as it is.
    public func event(of signal: TrainSignal) -> RolloutEvent? {
        switch signal {
        case .go where waitsForTrain: .waited(nil)
        case .goBack(let reason): .unfit(reason)
        case .go, .wait, .commit: nil
        }
    }

    /// Whether all that a train waits for before it switches is done.
    var hasJoined: Bool {
        switch phase {
        case .joining, .weighting, .pausing, .analysing, .switching, .confirming, .soaking, .committing, .draining, .retiring, .succeeded: true
        case .starting, .warming: wave > 0
        case .awaitingApproval, .queued, .preparing, .reverting, .reverted, .failed, .cancelled, .rejected, .superseded: false
        }
    }

    /// Whether the new version has all requests for certain.
    var hasSwitched: Bool { phase == .succeeded || (share == 1000 && !phase.isLost) }

    var isReadyToCommit: Bool { phase == .committing || phase == .succeeded || (hasSwitched && (phase == .draining || phase == .retiring)) }
}
