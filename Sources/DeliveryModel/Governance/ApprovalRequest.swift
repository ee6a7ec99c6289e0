/// Where a request for approval stands.
public enum ApprovalDecision: Hashable, Sendable {
    case allowed
    /// So many more are needed; of these people any may give one.
    case waiting(missing: Int, from: [String])
    case refused(ApprovalRefusal)
}

/// Why a yes or no does not count, or why a request is over.
public enum ApprovalRefusal: Hashable, Sendable {
    case unknownPerson(String)
    case notAmongThose(String, from: [String])
    case isAuthor(String)
    case decidedAlready(String)
    /// It was given for another image or configuration.
    case otherDigest
    case otherConfiguration
    case expired
    case rejected(by: String)
    /// Enough have agreed before.
    case isOver

    public var reason: String {
        switch self {
        case .unknownPerson(let name): "\(name) is not among the server's people"
        case .notAmongThose(let name, _): "\(name) is not among those who decide about this stage"
        case .isAuthor(let name): "\(name) wrote this commit and cannot approve it"
        case .decidedAlready(let name): "\(name) has decided already"
        case .otherDigest: "the approval is for another image"
        case .otherConfiguration: "the approval is for another configuration"
        case .expired: "the time for approvals is over"
        case .rejected(let name): "\(name) has rejected it"
        case .isOver: "it is approved already"
        }
    }

    public var hint: String {
        switch self {
        case .unknownPerson: "add the person to 'people' in the server's slipway.yaml"
        case .notAmongThose(_, let from): "ask one of: \(from.joined(separator: ", "))"
        case .isAuthor: "the stage asks for somebody else"
        case .decidedAlready: "somebody else has to approve it too"
        case .otherDigest, .otherConfiguration: "look at what waits now, and decide about that"
        case .expired, .rejected: "promote again"
        case .isOver: "there is nothing to decide"
        }
    }
}

/// A deployment that somebody has to agree to, and the one place where it is decided who counts.
public struct ApprovalRequest: Sendable {
    public var rule: ApprovalRule
    public var subject: ApprovalSubject
    public var authors: CommitAuthors
    /// Seconds since 1970; nil: never.
    public var expiresAt: Double?
    public var people: People

    public init(rule: ApprovalRule, subject: ApprovalSubject, authors: CommitAuthors, expiresAt: Double? = nil, people: People) {
        self.rule = rule
        self.subject = subject
        self.authors = authors
        self.expiresAt = expiresAt
        self.people = people
    }

    /// Where it stands with these votes. Votes for another image or configuration, and of people who would not count now, are
    /// as if they had not been given.
    public func decision(_ votes: [ApprovalVote], at time: Double) -> ApprovalDecision {
        let counted = votes.filter { $0.subject == subject && refusal(of: $0.actor, approving: $0.approved) == nil }
        if let no = counted.first(where: { !$0.approved }) { return .refused(.rejected(by: no.actor)) }
        let yes = Set(counted.map(\.actor))
        if yes.count >= rule.count { return .allowed }
        if let expiresAt, time >= expiresAt { return .refused(.expired) }
        return .waiting(missing: rule.count - yes.count, from: candidates.filter { !yes.contains($0) })
    }

    /// Why the vote does not count; nil when it does.
    public func refusal(of vote: ApprovalVote, after votes: [ApprovalVote], at time: Double) -> ApprovalRefusal? {
        if let refusal = refusal(of: vote.actor, approving: vote.approved) { return refusal }
        if vote.subject.digest != subject.digest { return .otherDigest }
        if vote.subject.configuration != subject.configuration { return .otherConfiguration }
        switch decision(votes, at: time) {
        case .allowed: return .isOver
        case .refused(let refusal): return refusal
        case .waiting:
            return votes.contains { $0.actor == vote.actor && $0.subject == subject } ? .decidedAlready(vote.actor) : nil
        }
    }

    /// Why the person may not decide at all.
    public func refusal(of person: String, approving: Bool) -> ApprovalRefusal? {
        if !people.isKnown(person) { return .unknownPerson(person) }
        if !rule.names(person, people) { return .notAmongThose(person, from: rule.from) }
        if approving, rule.notAuthor, authors.include(person, people) { return .isAuthor(person) }
        return nil
    }

    /// Everyone whose approval would count, besides the administrator.
    private var candidates: [String] { people.persons.keys.filter { refusal(of: $0, approving: true) == nil }.sorted() }
}
