/// What somebody may do on a server. Each role may do what those before it may.
public enum Role: String, Codable, Hashable, Sendable, CaseIterable, Comparable {
    /// Reads.
    case viewer
    /// Starts and cancels runs, promotes, approves, rolls back.
    case deployer
    /// Registers projects, sets secrets and targets of messages, makes tokens.
    case admin

    public static func < (left: Role, right: Role) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .viewer: 0
        case .deployer: 1
        case .admin: 2
        }
    }
}

/// Who is known to a server: its own configuration, never a repository's.
public struct People: Codable, Hashable, Sendable {
    public struct Person: Codable, Hashable, Sendable {
        /// The addresses by which a commit's author is recognised.
        public var emails: [String]
        public var groups: [String]

        public init(emails: [String] = [], groups: [String] = []) {
            self.emails = emails
            self.groups = groups
        }
    }

    /// Whoever holds the administrator's token; counts as a member of every group.
    public static let administrator = "admin"

    /// By name.
    public var persons: [String: Person]

    public init(_ persons: [String: Person] = [:]) { self.persons = persons }

    public func isKnown(_ name: String) -> Bool { name == Self.administrator || persons[name] != nil }

    public func isMember(_ name: String, of group: String) -> Bool {
        name == Self.administrator || persons[name]?.groups.contains(group) == true
    }

    /// Whether one of these mail addresses is the person's. Addresses are compared without case.
    public func has(_ name: String, anyOf emails: [String]) -> Bool {
        let wanted = Set(emails.map { $0.lowercased() })
        return persons[name]?.emails.contains { wanted.contains($0.lowercased()) } ?? false
    }
}
