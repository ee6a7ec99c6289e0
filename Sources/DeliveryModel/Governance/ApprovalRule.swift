public import OCIModel

/// Who must agree before a deployment of a stage starts.
public struct ApprovalRule: Codable, Hashable, Sendable {
    public var count: Int
    /// `name`, `user:name` or `group:name`; empty = everyone who is known.
    public var from: [String]
    /// The commit's author does not count.
    public var notAuthor: Bool
    /// Seconds after which an unanswered request counts as rejected; nil = never.
    public var expires: Double?

    public init(count: Int = 1, from: [String] = [], notAuthor: Bool = false, expires: Double? = nil) {
        self.count = count
        self.from = from
        self.notAuthor = notAuthor
        self.expires = expires
    }

    /// Whether the rule names the person, by name or by one of their groups.
    public func names(_ person: String, _ people: People) -> Bool {
        from.isEmpty || person == People.administrator
            || from.contains { entry in
                if entry.hasPrefix("group:") { return people.isMember(person, of: String(entry.dropFirst("group:".count))) }
                return entry == person || entry == "user:\(person)"
            }
    }
}

/// What an approval is given for, and for nothing else.
public struct ApprovalSubject: Codable, Hashable, Sendable {
    public var digest: Digest
    /// See ``Configuration``.
    public var configuration: String

    public init(digest: Digest, configuration: String) {
        self.digest = digest
        self.configuration = configuration
    }
}

/// Somebody's yes or no.
public struct ApprovalVote: Codable, Hashable, Sendable {
    public var actor: String
    public var approved: Bool
    public var subject: ApprovalSubject

    public init(actor: String, approved: Bool, subject: ApprovalSubject) {
        self.actor = actor
        self.approved = approved
        self.subject = subject
    }
}

/// Who wrote what is to be deployed, as the commit says.
public struct CommitAuthors: Codable, Hashable, Sendable {
    public var name: String
    /// The author's address and those of co-authors.
    public var emails: [String]

    public init(name: String, emails: [String]) {
        self.name = name
        self.emails = emails
    }

    public func include(_ person: String, _ people: People) -> Bool {
        person != People.administrator && (person.lowercased() == name.lowercased() || people.has(person, anyOf: emails))
    }

    /// The addresses in the trailers `Co-authored-by: Name <address>` of a commit's message (git-interpret-trailers).
    public static func coauthors(inMessage message: String) -> [String] {
        message.split(whereSeparator: \.isNewline).compactMap { line in
            guard line.lowercased().hasPrefix("co-authored-by:"), let open = line.lastIndex(of: "<"), line.hasSuffix(">") else { return nil }
            return String(line[line.index(after: open)...].dropLast())
        }
    }
}
