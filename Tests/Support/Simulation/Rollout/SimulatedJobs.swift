import DeliveryModel

/// The jobs of deployments as the store has them, and their containers: servers that die between any two steps leave both as
/// they are.
struct SimulatedJobs {
    struct Key: Hashable {
        var deployment: Int
        var moment: JobMoment
        var name: String
    }

    private enum Container { case absent, runs, exited(wasGood: Bool) }

    private struct Row {
        var state = JobState.queued
        var endsAs = JobState.failed
        var container = Container.absent
        var starts = 0
        var isCancelAsked = false
    }

    private var rows: [Key: Row] = [:]

    func state(_ key: Key) -> JobState? { rows[key]?.state }

    /// The cause is unique: asked for twice, it is there once.
    mutating func create(_ key: Key) { if rows[key] == nil { rows[key] = Row() } }

    mutating func cancel(_ key: Key) {
        if rows[key]?.state == .queued { rows[key]?.state = .cancelled }
        rows[key]?.isCancelAsked = true
    }

    func openJobs(of deployment: Int) -> [Key] { rows.filter { $0.key.deployment == deployment && !$0.value.state.isTerminal }.map(\.key) }

    func goodEnds(of deployment: Int, _ moment: JobMoment) -> Int {
        rows.count { $0.key.deployment == deployment && $0.key.moment == moment && $0.value.state == .succeeded }
    }

    /// One step of one job, by whichever server holds it. Calls `begins` when its container starts.
    mutating func step(_ chance: inout Chance, begins: (Key) throws(Violation) -> Void) throws(Violation) {
        let open = rows.filter { !$0.value.state.isTerminal }.keys.sorted {
            ($0.deployment, $0.moment.rawValue, $0.name) < ($1.deployment, $1.moment.rawValue, $1.name)
        }
        guard !open.isEmpty else { return }
        let key = open[chance.below(open.count)]
        guard var row = rows[key] else { return }
        switch (row.state, row.container) {
        case (.queued, _): row.state = row.isCancelAsked ? .cancelled : .starting
        case (.starting, .absent):
            // The server may die right after it; the next one finds the container.
            try begins(key)
            row.container = .runs
            row.starts += 1
        case (.starting, _): row.state = .running
        case (.running, .absent): throw Violation("\(key) runs without a container")
        case (.running, .exited(let wasGood)):
            row.state = wasGood ? .succeeded : .failed
            if chance.oneIn(2) { row.container = .absent }
        case (.running, .runs):
            if row.isCancelAsked || chance.oneIn(12) {
                row.endsAs = row.isCancelAsked ? .cancelled : .failed
                row.state = .stopping
            } else if chance.oneIn(2) {
                row.container = .exited(wasGood: !chance.oneIn(4))
            }
        case (.stopping, .absent): row.state = row.endsAs
        case (.stopping, _): row.container = .absent
        default: break
        }
        if row.starts > 1 { throw Violation("\(key) ran \(row.starts) times") }
        rows[key] = row
    }
}
