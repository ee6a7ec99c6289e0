/// The jobs of a deployment under way, by name, and how far they are.
public struct RolloutJobs: Codable, Hashable, Sendable {
    /// Those that have not ended yet.
    public private(set) var before: [String]
    public private(set) var after: [String]
    /// Whether what the jobs need is there.
    public internal(set) var isPrepared = false
    /// Whether the new version has taken the place of the old one, and only jobs are left.
    public internal(set) var isFinishing = false
    /// Of those after the deployment: which failed.
    public private(set) var failed: [String] = []

    /// Nil when there are none.
    public init?(before: [String], after: [String]) {
        guard !before.isEmpty || !after.isEmpty else { return nil }
        self.before = before
        self.after = after
    }

    /// What runs next, of those before; nil while it is not their turn.
    var nextBefore: String? { isPrepared ? before.first : nil }
    var nextAfter: String? { isFinishing ? after.first : nil }

    /// Takes the end of a job. False when it is not the one that runs.
    mutating func end(_ name: String, failed hasFailed: Bool) -> Bool {
        if nextBefore == name {
            if !hasFailed { before.removeFirst() }
        } else if nextAfter == name {
            after.removeFirst()
            if hasFailed { failed.append(name) }
        } else {
            return false
        }
        return true
    }
}
