import AsyncHTTPClient
import FoundationEssentials
import Glibc
import Logging
import NIOCore
import NIOHTTP1
import RegistryClient
import StateStore

/// Carries messages out: at least once, in order per target, several targets at a time.
extension PipelineEngine {
    /// Claims messages until the server stops. A slow target holds a slot until its timeout, so there are several.
    func carryMessages() async {
        await withTaskGroup(of: Void.self) { group in
            var underWay = 0
            while !Task.isCancelled {
                if underWay == settings.outbox.concurrent {
                    await group.next()
                    underWay -= 1
                }
                let heard = bell.count
                do {
                    // Longer than an attempt can take: a lease that expires means that its holder is gone.
                    let lease = settings.outbox.timeout * 2 + .seconds(10)
                    let claimed = try await parts.store.claimMessage(holder: settings.holder, leaseSeconds: lease / .seconds(1))
                    if let message = claimed {
                        group.addTask { await carry(message) }
                        underWay += 1
                        continue
                    }
                } catch is CancellationError {
                    return
                } catch {
                    logger.error("outbox: \(error)")
                }
                await bell.wait(after: heard, atMost: .seconds(1))
            }
        }
    }

    private func carry(_ message: OutboxMessage) async {
        do {
            let outcome = try await attempt(message)
            guard try await parts.store.finishMessage(message.id, epoch: message.epoch, outcome: outcome) else {
                logger.warning("message \(message.id) was taken over by another server")
                return
            }
            let labels: Logger.Metadata = [
                "message": "\(message.key)", "event": "\(message.facts.event.rawValue)", "project": "\(message.project)",
                "attempt": "\(message.attempts)",
            ]
            switch outcome {
            case .sent: logger.info("message sent", metadata: labels)
            case .postponed(let seconds, let reason):
                logger.warning("message \(message.id) not sent, again in \(Int(seconds.rounded(.up))) s: \(reason)", metadata: labels)
            case .dead(let reason):
                logger.error("message \(message.id) given up: \(reason); see: slipway outbox", metadata: labels)
            }
            bell.ring()
        } catch is CancellationError {
            // The server stops; the next one sends it.
        } catch {
            logger.error("message \(message.id): \(error)")
        }
    }

    /// One attempt. What is wrong with the message itself kills it; what is wrong with the way may pass.
    private func attempt(_ message: OutboxMessage) async throws -> MessageOutcome {
        let policy = settings.outbox
        guard message.attempts <= policy.attempts else {
            return .dead(reason: "\(message.problem ?? "the server ended during the last attempt"); given up after \(policy.attempts) attempts")
        }
        guard let target = try await parts.store.outboxTarget(message.target) else {
            return .dead(reason: "the target was removed")
        }
        func later(_ reason: String, asked: Duration? = nil) -> MessageOutcome {
            if message.attempts == policy.attempts { return .dead(reason: "\(reason); given up after \(policy.attempts) attempts") }
            return .postponed(seconds: policy.pause(after: message.attempts, asked: asked), reason: reason)
        }
        let request: OutboxRequest
        do {
            let secret = try await secret(of: target)
            request = try OutboxRequest(message, to: target, secret: secret, publicURL: settings.publicURL)
        } catch let error as EngineError {
            return .dead(reason: error.description)
        } catch let error as StateError where error.code == .damagedSecret {
            return .dead(reason: error.description)
        }
        do {
            let (verdict, said) = try await send(request, to: target)
            switch verdict {
            case .arrived: return .sent
            case .later(let asked): return later(said, asked: asked)
            case .refused: return .dead(reason: said)
            }
        } catch {
            try Task.checkCancellation()
            return later("\(target.place) did not answer: \(Self.reason(error))")
        }
    }

    private func send(_ request: OutboxRequest, to target: OutboxTarget) async throws -> (Verdict, String) {
        var outgoing = HTTPClientRequest(url: request.url)
        outgoing.method = .POST
        outgoing.headers = request.headers
        outgoing.body = .bytes(ByteBuffer(bytes: request.body))
        // Who set the address is the administrator: it may lie inside. Redirects are answers, so it stays the place.
        let response = try await parts.connections.execute(
            outgoing, allowsPrivate: true, timeout: settings.outbox.timeout, task: "sending to \(target.place)")
        let retryAfter = RetryAfter.parse(response.headers.first(name: "Retry-After"))
        let verdict = Verdict(status: response.status.code, retryAfter: retryAfter)
        if verdict == .arrived { return (verdict, "") }
        let hint =
            switch response.status.code {
            case 300..<400: " (redirects are not followed: set the new address)"
            case 401, 403: target.kind.isForge ? " (check what the token may do)" : ""
            case 404: target.kind.isForge ? " (check the repository's address, and that the token may see it)" : ""
            default: ""
            }
        return (verdict, "\(target.place) answered \(response.status.code)\(hint)")
    }

    private func secret(of target: OutboxTarget) async throws -> String {
        if let sealed = target.sealedSecret {
            return try parts.secrets.open(Array(sealed), context: Self.notifyContext(target.project))
        }
        let name = target.tokenSecret ?? ""
        guard let sealed = try await parts.store.secrets(project: target.project)[name] else {
            throw EngineError(
                .secretMissing, "'\(target.project)' has no secret '\(name)' with the forge's token",
                hint: "set it with: slipway secret set \(name) --project \(target.project)")
        }
        let token = try parts.secrets.open(sealed, context: "\(target.project)/\(name)").filter { !$0.isWhitespace }
        guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), !token.isEmpty else {
            throw EngineError(.secretMissing, "the secret '\(name)' is not a token", hint: "set it again")
        }
        return token
    }

    /// What the secret of a project's webhooks is sealed for.
    public static func notifyContext(_ project: String) -> String { "notify/\(project)" }

    /// The client's errors carry no address; they are short names.
    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError: error.shortDescription
        case let error as RegistryError: error.message
        case let error as IOError: String(cString: strerror(error.errnoCode))
        default: "\(error)"
        }
    }

    /// Sends a dead letter again, or gives a message up for good. False when there is none that it could be done to.
    public func decide(message: Int64, retry: Bool) async throws -> Bool {
        let done = retry ? try await parts.store.retryMessage(message) : try await parts.store.discardMessage(message)
        bell.ring()
        return done
    }
}
