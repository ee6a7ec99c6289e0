/// How patiently messages are sent.
public struct OutboxPolicy: Sendable {
    /// Attempts in all; after the last a message is a dead letter.
    public var attempts: Int
    /// The pause after the first failure; it doubles from there.
    public var base: Duration
    /// No pause is longer, unless the receiver asks for it.
    public var maximum: Duration
    /// A receiver that has not answered by then has failed.
    public var timeout: Duration
    /// Messages under way at once, each to a target of its own.
    public var concurrent: Int

    public init(
        attempts: Int = 14, base: Duration = .seconds(1), maximum: Duration = .seconds(3600),
        timeout: Duration = .seconds(10), concurrent: Int = 8
    ) {
        self.attempts = max(1, attempts)
        self.base = base
        self.maximum = maximum
        self.timeout = timeout
        self.concurrent = max(1, concurrent)
    }

    /// Seconds until the next attempt: exponential, with half of it random, so that a receiver that comes back is not met by
    /// everything at once; and never before the receiver asked for.
    func pause(after attempt: Int, asked: Duration?) -> Double {
        let full = min(maximum, base * (1 << min(attempt - 1, 30)))
        let own = full * Double.random(in: 0.5...1)
        return max(own, asked ?? .zero) / .seconds(1)
    }
}

/// What an answer says about trying again.
enum Verdict: Equatable {
    case arrived
    /// It may pass.
    case later(asked: Duration?)
    /// The same again would be refused again.
    case refused

    /// - Parameter retryAfter: what the answer's `Retry-After` says.
    init(status: UInt, retryAfter: Duration?) {
        switch status {
        case 200..<300: self = .arrived
        case 408, 425, 429, 500...: self = .later(asked: retryAfter)
        // A forge that is asked too often says so with 403.
        case 403 where retryAfter != nil: self = .later(asked: retryAfter)
        default: self = .refused
        }
    }
}
