/// One thing that happened to a run or a deployment.
public struct EventLine: Sendable {
    public var at: TimeText
    public var badge: StateBadge
    public var message: String
    /// Who caused it; nil for the server itself.
    public var who: String?

    public init(at: TimeText, badge: StateBadge, message: String, who: String? = nil) {
        self.at = at
        self.badge = badge
        self.message = message
        self.who = who
    }
}
