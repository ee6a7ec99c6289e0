/// A deployment that waits for approvals. Approving and rejecting post `csrf`, `comment`, `digest` and `configuration`.
public struct PendingApproval: Sendable {
    public var release: ReleaseLine
    /// "1 of 2 approvals"
    public var progress: String
    /// "from group sre, not the author"
    public var rule: String
    public var expires: TimeText?
    public var decisions: [Decision]
    /// False hides the buttons and shows `refusal`.
    public var canDecide: Bool
    public var refusal: String?
    /// What is looked at: posted with the decision, which counts for nothing else.
    public var digest: String
    public var configuration: String
    public let approveURL: String
    public let rejectURL: String

    public init(
        deployment: String, release: ReleaseLine, progress: String, rule: String, expires: TimeText? = nil,
        decisions: [Decision] = [], canDecide: Bool, refusal: String? = nil, digest: String = "", configuration: String = ""
    ) {
        self.release = release
        self.progress = progress
        self.rule = rule
        self.expires = expires
        self.decisions = decisions
        self.canDecide = canDecide
        self.refusal = refusal
        self.digest = digest
        self.configuration = configuration
        approveURL = PageURL.approve(deployment)
        rejectURL = PageURL.reject(deployment)
    }
}

/// Who said what, and when.
public struct Decision: Sendable {
    public var who: String
    public var verdict: StateBadge
    public var comment: String?
    public var at: TimeText

    public init(who: String, verdict: StateBadge, comment: String? = nil, at: TimeText) {
        self.who = who
        self.verdict = verdict
        self.comment = comment
        self.at = at
    }
}

/// Brings a release into a stage: posts `csrf`, `pipeline` and `release`, the id of exactly the one that was shown.
public struct PromoteForm: Sendable {
    public let promoteURL: String
    public var pipeline: String
    public var releaseID: String
    /// "Promote to prod"
    public var action: String
    public var release: ReleaseLine

    public init(project: String, pipeline: String, stage: String, releaseID: String, release: ReleaseLine) {
        self.pipeline = pipeline
        promoteURL = PageURL.promote(to: stage, of: project)
        self.releaseID = releaseID
        action = "Promote to \(stage)"
        self.release = release
    }
}

/// Brings back what was in a stage before: posts `csrf`, `pipeline` and `release`.
public struct RollbackForm: Sendable {
    public let rollbackURL: String
    public var pipeline: String
    public var releaseID: String
    public var release: ReleaseLine

    public init(project: String, pipeline: String, stage: String, releaseID: String, release: ReleaseLine) {
        self.pipeline = pipeline
        rollbackURL = PageURL.rollback(stage, of: project)
        self.releaseID = releaseID
        self.release = release
    }
}
