/// How often and how patiently a request is repeated.
public struct RetryPolicy: Sendable {
    /// Attempts in all, at least one.
    public var attempts: Int
    /// The pause after the first failure; it doubles from there.
    public var base: Duration
    /// No pause is longer. A `Retry-After` beyond it ends the attempts at once.
    public var maximum: Duration
    /// Waits; tests replace it.
    public var sleep: @Sendable (Duration) async throws -> Void

    public init(
        attempts: Int = 5, base: Duration = .milliseconds(250), maximum: Duration = .seconds(30),
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.attempts = max(1, attempts)
        self.base = base
        self.maximum = maximum
        self.sleep = sleep
    }

    /// Runs `body` until it does something other than throw an ``Interruption``.
    ///
    /// - Parameter progress: a measure of how far the work is; attempts that got further are not counted, so that a large
    ///   transfer over a bad connection ends as long as it moves.
    func run<T>(progress: () -> Int64 = { 0 }, _ body: () async throws -> T) async throws -> T {
        var attempt = 1
        var before = progress()
        while true {
            do { return try await body() } catch let interruption as Interruption {
                try Task.checkCancellation()
                let now = progress()
                if now > before { (attempt, before) = (1, now) }
                guard attempt < attempts, (interruption.retryAfter ?? .zero) <= maximum else { throw interruption.error }
                try await sleep(pause(after: attempt, asked: interruption.retryAfter))
                attempt += 1
            }
        }
    }

    /// Exponential, with half of it random so that many clients do not return at the same moment.
    func pause(after attempt: Int, asked: Duration?) -> Duration {
        if let asked { return asked + base * Double.random(in: 0...1) }
        let full = min(maximum, base * (1 << min(attempt - 1, 20)))
        return full * Double.random(in: 0.5...1)
    }
}

/// A failure that may pass: repeating is worth it.
struct Interruption: Error {
    let error: RegistryError
    var retryAfter: Duration?
    /// The upload cannot be continued; a new one must begin.
    var isSessionLost = false
}
