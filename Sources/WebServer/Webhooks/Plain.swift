import Hummingbird

/// The plain form, for a hook that has only openssl and curl: the body is `{"ref", "before", "after"}`.
struct PlainForge: Forge {
    let name = "plain"

    func recognizes(_ headers: HTTPFields) -> Bool { header("X-Slipway-Event", headers) != nil }
    func deliveryID(_ headers: HTTPFields) -> String? { header("X-Slipway-Delivery", headers) }
    func signature(_ headers: HTTPFields) -> String? { withoutPrefix(header("X-Slipway-Signature", headers)) }

    func payload(_ headers: HTTPFields, body: [UInt8]) throws -> Payload {
        let event = header("X-Slipway-Event", headers) ?? ""
        return try GitHubPayload.read(event: event == "tag" ? "push" : event, body: body)
    }

    /// A `post-receive` hook (githooks(5)) ready to paste.
    static func postReceive(url: String, secret: String) -> String {
        """
        #!/bin/sh
        # Tells Slipway about every ref that was pushed.
        while read -r before after ref; do
          body="{\\"ref\\":\\"$ref\\",\\"before\\":\\"$before\\",\\"after\\":\\"$after\\"}"
          signature=$(printf '%s' "$body" | openssl dgst -sha256 -hmac '\(secret)' | sed 's/^.*= *//')
          printf '%s' "$body" | curl -fsS --max-time 30 --retry 5 --retry-connrefused -o /dev/null \\
            -H 'Content-Type: application/json' -H 'X-Slipway-Event: push' \\
            -H "X-Slipway-Delivery: $after-$ref-$(date +%s%N)" -H "X-Slipway-Signature: sha256=$signature" \\
            --data-binary @- '\(url)' || echo "slipway: the webhook was not accepted" >&2
        done
        """
    }
}
