import Hummingbird

/// GitHub (docs.github.com, "Webhook events and payloads"): `push` and `pull_request`.
struct GitHubForge: Forge {
    let name = "github"

    func recognizes(_ headers: HTTPFields) -> Bool { header("X-GitHub-Event", headers) != nil }
    func deliveryID(_ headers: HTTPFields) -> String? { header("X-GitHub-Delivery", headers) }
    func signature(_ headers: HTTPFields) -> String? { withoutPrefix(header("X-Hub-Signature-256", headers)) }

    func payload(_ headers: HTTPFields, body: [UInt8]) throws -> Payload {
        try GitHubPayload.read(event: header("X-GitHub-Event", headers) ?? "", body: body)
    }
}

/// Gitea and Forgejo send GitHub's payloads under header names of their own, which they send beside GitHub's.
struct GiteaForge: Forge {
    let name = "gitea"

    func recognizes(_ headers: HTTPFields) -> Bool {
        header("X-Gitea-Event", headers) != nil || header("X-Forgejo-Event", headers) != nil
    }
    func deliveryID(_ headers: HTTPFields) -> String? {
        header("X-Forgejo-Delivery", headers) ?? header("X-Gitea-Delivery", headers)
    }
    func signature(_ headers: HTTPFields) -> String? {
        withoutPrefix(header("X-Forgejo-Signature", headers) ?? header("X-Gitea-Signature", headers))
    }

    func payload(_ headers: HTTPFields, body: [UInt8]) throws -> Payload {
        let event = header("X-Forgejo-Event", headers) ?? header("X-Gitea-Event", headers) ?? ""
        return try GitHubPayload.read(event: event, body: body)
    }
}

/// The parts of GitHub's payloads that matter here.
enum GitHubPayload {
    private struct Push: Decodable {
        var ref: String
        var before: String?
        var after: String?
        var deleted: Bool?
    }

    private struct PullRequest: Decodable {
        struct Request: Decodable {
            struct Side: Decodable {
                var ref: String
                var sha: String
            }
            var head: Side
            var base: Side
        }
        var action: String
        var pull_request: Request
    }

    static func read(event: String, body: [UInt8]) throws -> Payload {
        switch event {
        case "push":
            let push = try decodePayload(Push.self, body)
            let zero = String(repeating: "0", count: 40)
            if push.deleted == true || push.after == zero { return Payload(event: "delete") }
            let before = push.before == zero ? nil : push.before
            if push.ref.hasPrefix("refs/tags/") {
                return Payload(event: "tag", tag: String(push.ref.dropFirst(10)), commit: push.after)
            }
            guard push.ref.hasPrefix("refs/heads/") else { return Payload(event: "other") }
            return Payload(
                event: "push", branch: String(push.ref.dropFirst(11)), commit: push.after, before: before)
        case "pull_request":
            let request = try decodePayload(PullRequest.self, body)
            guard ["opened", "synchronize", "synchronized", "reopened"].contains(request.action) else {
                return Payload(event: "pull_request \(request.action)")
            }
            return Payload(
                event: "pull_request", branch: request.pull_request.base.ref, commit: request.pull_request.head.sha,
                before: request.pull_request.base.sha)
        default: return Payload(event: event)
        }
    }
}
