public import FoundationEssentials

/// Where messages of a project go.
public struct OutboxTarget: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Hashable, Sendable {
        /// JSON about chosen events, signed.
        case webhook
        /// Commit statuses; at most one target of a project is of these.
        case github, gitea

        public var isForge: Bool { self != .webhook }
    }

    public var id: Int64
    public var project: String
    public var kind: Kind
    /// A webhook's address, or the API address of a forge's repository (`https://api.github.com/repos/shop/gtin`).
    public var url: String
    /// Raw values of ``Announcement/Event``; empty: all.
    public var events: [String]
    /// What a webhook is signed with, sealed by ``SecretBox``.
    public var sealedSecret: Data?
    /// The project's secret that holds the forge's token.
    public var tokenSecret: String?
    public var createdAt: Double

    /// Whether a message about this goes to the target. A forge is told of runs only.
    public func takes(_ announcement: Announcement) -> Bool {
        if kind.isForge { return announcement.deployment == nil }
        return events.isEmpty || events.contains(announcement.event.rawValue)
    }

    /// What makes an older message of the target pointless once there is a newer one with the same; nil: nothing does.
    public func topic(of announcement: Announcement) -> String? {
        kind.isForge ? "\(announcement.commit) \(announcement.statusContext)" : nil
    }
}

/// A target about to be kept.
public struct NewOutboxTarget: Sendable {
    public var project: String
    public var kind: OutboxTarget.Kind
    public var url: String
    public var events: [String]
    public var sealedSecret: Data?
    public var tokenSecret: String?

    public init(
        project: String, kind: OutboxTarget.Kind, url: String, events: [String] = [], sealedSecret: Data? = nil,
        tokenSecret: String? = nil
    ) {
        self.project = project
        self.kind = kind
        self.url = url
        self.events = events
        self.sealedSecret = sealedSecret
        self.tokenSecret = tokenSecret
    }
}

/// One message that is to leave, or has left.
public struct OutboxMessage: Codable, Hashable, Sendable {
    public enum State: String, Codable, Hashable, Sendable, CaseIterable {
        case waiting, sent
        /// Given up; somebody has to look at it.
        case dead
        /// A newer one took its place before it was sent.
        case skipped
        /// Somebody decided that it need not be sent.
        case discarded
    }

    public var id: Int64
    /// The same however often it is sent, and nowhere else the same: receivers can drop what they have had.
    public var key: String
    public var project: String
    public var target: Int64
    public var topic: String?
    public var facts: Announcement
    public var state: State
    /// How often sending it was begun.
    public var attempts: Int
    public var nextAttemptAt: Double
    /// Why it has not arrived.
    public var problem: String?
    public var epoch: Int64
    public var holder: String?
    public var leaseExpiresAt: Double
    public var createdAt: Double
    public var finishedAt: Double?
}

/// What came of an attempt to send a message.
public enum MessageOutcome: Hashable, Sendable {
    case sent
    /// To be tried again after this many seconds.
    case postponed(seconds: Double, reason: String)
    case dead(reason: String)
}

/// What a look at a repository's branches brought.
public struct Reconciliation: Codable, Hashable, Sendable {
    public var project: String
    /// The last look that succeeded; nil when none has.
    public var at: Double?
    /// Why the last look did not succeed; nil when it did.
    public var problem: String?
}
