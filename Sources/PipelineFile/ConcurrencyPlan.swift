/// Which runs of a project must not overlap.
public struct ConcurrencyPlan: Codable, Sendable, Equatable {
    /// As written; ``name(branch:event:)`` fills it in.
    public var group: String
    /// A newer run takes the place of those that wait or run.
    public var cancel: Bool

    public init(group: String, cancel: Bool = false) {
        self.group = group
        self.cancel = cancel
    }

    /// What a group may hold between braces.
    static let placeholders = ["branch", "event"]

    /// The group a run belongs to. What is filled in is not searched again.
    ///
    /// - Parameter branch: the branch or tag; for a pull request the branch it goes to; empty when there is none.
    public func name(branch: String, event: String) -> String {
        var name = ""
        var rest = group[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            name += rest[..<open]
            name += rest[rest.index(after: open)..<close] == "branch" ? branch : event
            rest = rest[rest.index(after: close)...]
        }
        return name + rest
    }
}
