import Crypto
import FoundationEssentials
import NIOHTTP1
import OCIModel
public import StateStore

/// A message as it goes over the wire.
struct OutboxRequest: Sendable {
    var url: String
    var headers: HTTPHeaders
    var body: [UInt8]

    /// - Parameters:
    ///   - secret: what a webhook is signed with, or the forge's token.
    ///   - publicURL: the address of this server, without a slash at the end.
    init(_ message: OutboxMessage, to target: OutboxTarget, secret: String, publicURL: String) throws {
        let page = "\(publicURL)/runs/\(message.facts.run)"
        headers = [
            "Content-Type": "application/json", "User-Agent": "slipway", "X-Slipway-Message": message.key,
            "X-Slipway-Attempt": "\(message.attempts)",
        ]
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        switch target.kind {
        case .webhook:
            url = target.url
            body = Array(try encoder.encode(Notification(message, url: page)))
            let code = HMAC<SHA256>.authenticationCode(for: body, using: SymmetricKey(data: Array(secret.utf8)))
            headers.add(name: "X-Slipway-Event", value: message.facts.event.rawValue)
            headers.add(name: "X-Slipway-Signature", value: "sha256=\(code.hexadecimal)")
        case .github, .gitea:
            url = "\(target.url)/statuses/\(message.facts.commit)"
            body = Array(try encoder.encode(CommitStatus(message.facts, page: page)))
            headers.add(name: "Accept", value: target.kind == .github ? "application/vnd.github+json" : "application/json")
            headers.add(name: "Authorization", value: target.kind == .github ? "Bearer \(secret)" : "token \(secret)")
        }
    }
}

/// The body of a notification; docs/notifications.md describes it.
struct Notification: Encodable {
    /// The same as `X-Slipway-Message`.
    var id: String
    var event: String
    /// RFC 3339.
    var at: String
    var project: String
    var pipeline: String
    var state: String
    var run: Int64
    var url: String
    var commit: String
    var branch: String?
    var author: String
    var message: String
    var error: String?
    var digest: String?
    var duration: Double?
    var deployment: Int64?
    var stage: String?

    init(_ message: OutboxMessage, url: String) {
        let facts = message.facts
        id = message.key
        event = facts.event.rawValue
        at = Date(timeIntervalSince1970: facts.at).formatted(.iso8601)
        project = facts.project
        pipeline = facts.pipeline
        state = facts.state
        run = facts.run
        self.url = url
        commit = facts.commit
        branch = facts.branch
        author = facts.author
        self.message = facts.message
        error = facts.error
        digest = facts.digest?.description
        duration = facts.duration
        deployment = facts.deployment
        stage = facts.stage
    }
}

/// A commit status as GitHub takes it (docs.github.com, "Create a commit status"), and Gitea and Forgejo after it.
struct CommitStatus: Encodable {
    var state: String
    var target_url: String
    var description: String
    var context: String

    /// GitHub refuses a longer description.
    private static let descriptionLimit = 140

    init(_ facts: Announcement, page: String) {
        context = facts.statusContext
        target_url = page
        let took = facts.duration.map { " after \(Int($0.rounded())) s" } ?? ""
        let text: String
        switch facts.event {
        case .runQueued: (state, text) = ("pending", "Waits for a worker")
        case .runStarted: (state, text) = ("pending", "Is running")
        case .runSucceeded: (state, text) = ("success", "Succeeded\(took)")
        case .runFailed:
            let why = facts.error?.split(separator: "\n").first.map { ": \($0)" } ?? ""
            (state, text) = ("failure", (facts.state == "invalid" ? "The pipeline file is not valid" : "Failed\(took)") + why)
        case .runCancelled: (state, text) = ("error", "Cancelled")
        case .deploymentAwaitingApproval, .deploymentSucceeded, .deploymentFailed:
            (state, text) = ("success", "Delivered to \(facts.stage ?? "")")
        }
        description = text.count > Self.descriptionLimit ? "\(text.prefix(Self.descriptionLimit - 1))…" : text
    }
}

extension OutboxTarget {
    /// What may be shown and logged of the address: many a webhook's path is a secret.
    public var place: String {
        guard let parts = URLComponents(string: url), let scheme = parts.scheme, let host = parts.host else { return "?" }
        return "\(scheme)://\(host)\(parts.port.map { ":\($0)" } ?? "")" + (kind.isForge ? parts.path : "")
    }
}
