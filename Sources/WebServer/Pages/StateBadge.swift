/// A state as colour, icon and word; the word alone is enough to understand it.
public struct StateBadge: Sendable, Equatable {
    public enum Tone: String, Sendable, CaseIterable {
        case success, active, waiting, failure, warning, neutral
    }

    /// A class of `app.css`.
    public let tone: String
    /// The template with the icon.
    public let icon: String
    public let word: String

    public init(_ tone: Tone, _ word: String) {
        self.tone = tone.rawValue
        icon = "icon-\(tone.rawValue)"
        self.word = word
    }

    /// For a state that is history: an event in a list must not look as if it were still going on.
    public static func passed(_ state: String) -> StateBadge {
        let badge = StateBadge(state: state)
        guard badge.tone == Tone.active.rawValue || badge.tone == Tone.waiting.rawValue else { return badge }
        return StateBadge(tone: Tone.neutral.rawValue, icon: "icon-passed", word: badge.word)
    }

    private init(tone: String, icon: String, word: String) {
        self.tone = tone
        self.icon = icon
        self.word = word
    }

    /// For the raw value of a run's, a step's or a deployment's state. Unknown words are shown as they are.
    public init(state: String) {
        switch state {
        case "succeeded": self.init(.success, "Succeeded")
        case "healthy", "live": self.init(.success, state == "live" ? "Live" : "Healthy")
        case "approved": self.init(.success, "Approved")
        case "failed": self.init(.failure, "Failed")
        case "rejected": self.init(.failure, "Rejected")
        case "unhealthy": self.init(.failure, "Unhealthy")
        case "invalid": self.init(.warning, "Invalid")
        case "reverting": self.init(.warning, "Reverting")
        case "degraded": self.init(.warning, "Degraded")
        case "awaitingApproval": self.init(.waiting, "Needs approval")
        case "waiting": self.init(.neutral, "Waiting")
        case "queued": self.init(.waiting, "Queued")
        case "reverted": self.init(.failure, "Taken back")
        case "pausing": self.init(.waiting, "Pausing")
        case "analysing": self.init(.active, "Comparing")
        case "cancelled": self.init(.neutral, "Cancelled")
        case "skipped": self.init(.neutral, "Skipped")
        case "lost": self.init(.failure, "Lost")
        case "superseded": self.init(.neutral, "Superseded")
        case "empty": self.init(.neutral, "Empty")
        case "running", "starting", "warming", "switching", "confirming", "draining", "retiring", "checkout",
            "preparing", "weighting", "soaking", "stopping":
            self.init(.active, state.prefix(1).uppercased() + state.dropFirst())
        default: self.init(.neutral, state)
        }
    }
}
