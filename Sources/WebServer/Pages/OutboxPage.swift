/// `/outbox`: what waits to leave, and what was given up.
public struct OutboxPage: Page {
    public static let template = "outbox"
    public var shell: Shell
    public var messages: [MessageRow]

    public init(shell: Shell, messages: [MessageRow]) {
        self.shell = shell
        self.messages = messages
    }
}

/// A message in the list.
public struct MessageRow: Sendable {
    public var badge: StateBadge
    public var event: String
    public var project: String
    public let runURL: String
    public var target: String
    public var problem: String?
    public var attempts: String
    public var when: TimeText
    /// Only for a dead letter.
    public let retryURL: String?
    public let discardURL: String

    public init(
        id: String, isDead: Bool, event: String, project: String, run: String, target: String, problem: String?, attempts: Int,
        when: TimeText
    ) {
        badge = isDead ? StateBadge(.failure, "Given up") : StateBadge(.waiting, "Waiting")
        self.event = event
        self.project = project
        runURL = PageURL.run(run)
        self.target = target
        self.problem = problem
        self.attempts = attempts == 1 ? "1 attempt" : "\(attempts) attempts"
        self.when = when
        retryURL = isDead ? PageURL.message(id, "retry") : nil
        discardURL = PageURL.message(id, "discard")
    }
}
