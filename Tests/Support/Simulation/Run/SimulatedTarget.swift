/// The machine on which steps run: containers that outlive their holder, each behind a lock, and the epoch below which
/// nobody may do anything.
struct SimulatedTarget {
    enum State: Equatable {
        /// Half made; its lock is held by whoever makes it.
        case created, running
        case exited(Int)
        /// The machine restarted under it.
        case lost
    }

    struct Container: Equatable {
        var attempt: Int
        var state: State
        var lockedBy: Int?
    }

    var containers: [String: Container] = [:]
    var epoch = 0
    /// How often each attempt of each step had its effect on the world.
    var effects: [String: Int] = [:]
    /// The epoch whose checkout the workspace shows, and whether it is complete.
    var workspace: (epoch: Int, isComplete: Bool)?
    var published: Set<String> = []

    /// False: a newer holder was here.
    mutating func raise(to epoch: Int) -> Bool {
        guard epoch >= self.epoch else { return false }
        self.epoch = epoch
        return true
    }

    func isLocked(_ step: String, for holder: Int) -> Bool {
        guard let owner = containers[step]?.lockedBy else { return false }
        return owner != holder
    }

    /// The first process of the step runs: from here on the world may have changed.
    mutating func begin(_ step: String) throws(Violation) {
        guard let container = containers[step] else { throw Violation("a container that is not there began") }
        containers[step]?.state = .running
        containers[step]?.lockedBy = nil
        effects["\(step)#\(container.attempt)", default: 0] += 1
        if effects["\(step)#\(container.attempt)", default: 0] > 1 {
            throw Violation("attempt \(container.attempt) of step \(step) ran twice")
        }
    }

    /// A machine that restarts takes every process with it; what is written stays.
    mutating func restart() {
        for (step, container) in containers {
            containers[step]?.state = container.state == .created ? .created : container.state == .running ? .lost : container.state
        }
        for step in containers.keys { containers[step]?.lockedBy = nil }
        epoch = 0
    }

    /// The kernel lets go of a dead holder's locks.
    mutating func unlock(_ holder: Int) {
        for (step, container) in containers where container.lockedBy == holder { containers[step]?.lockedBy = nil }
    }
}
