public import AsyncHTTPClient
import NIOCore
import Synchronization

/// Asks at a fixed rate until it is told to stop. What was due is sent, however slow the answers are, up to a bound.
public final class LoadRun: Sendable {
    /// How much may be under way: more than that means that nothing is answered any more.
    private static let mostUnderWay = 20_000

    private let schedule: LoadSchedule
    private let mix: LoadMix
    private let asking: LoadAsking
    private let limit: Duration
    private let clock = ContinuousClock()
    private let started: ContinuousClock.Instant
    private let state = Mutex((record: LoadRecord(), stops: false, underWay: 0))

    /// - Parameters:
    ///   - limit: the longest time that requests are begun.
    ///   - client: lent, as made by ``makeClient()``.
    public init(target: LoadTarget, schedule: LoadSchedule, mix: LoadMix, limit: Duration, client: HTTPClient) {
        self.schedule = schedule
        self.mix = mix
        self.limit = limit
        started = clock.now
        asking = LoadAsking(target: target, path: mix.path, client: client)
    }

    /// Connections as browsers keep them, and no redirects: each answer counts as it came.
    public static func makeClient() -> HTTPClient {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: .seconds(10), read: .seconds(30))
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 4096
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        return HTTPClient(configuration: configuration)
    }

    /// What was met so far.
    public var record: LoadRecord { state.withLock { $0.record } }
    /// Requests a second.
    public var rate: Int { schedule.rate }
    /// Seconds since the start.
    public var elapsed: Double { started.duration(to: clock.now) / .seconds(1) }

    /// No further requests are begun; those under way are waited for.
    public func stop() { state.withLock { $0.stops = true } }

    /// Runs until ``stop()`` or the limit, and until the last answer is there.
    public func run() async {
        await withDiscardingTaskGroup { group in
            var next = 0
            let end = limit / .seconds(1)
            var isOver = false
            while !isOver, !Task.isCancelled {
                let now = elapsed
                isOver = now >= end || state.withLock { $0.stops }
                // What was due before the end is sent, also when this comes late.
                let due = schedule.count(after: min(now, end))
                while next < due {
                    let number = next
                    next += 1
                    guard begin() else {
                        finish(
                            LoadOutcome(kind: mix.kind(of: number), end: .failed("nothing is answered"), due: schedule.due(number), ended: elapsed))
                        continue
                    }
                    group.addTask { await self.one(number) }
                }
                if isOver { return }
                let wake = started + .seconds(schedule.due(next))
                do { try await clock.sleep(until: max(wake, clock.now + .milliseconds(1))) } catch { return }
            }
        }
    }

    private func begin() -> Bool {
        state.withLock { state in
            guard state.underWay < Self.mostUnderWay else { return false }
            state.underWay += 1
            return true
        }
    }

    private func one(_ number: Int) async {
        let kind = mix.kind(of: number)
        let answer = await asking.ask(kind)
        state.withLock { $0.underWay -= 1 }
        // What was given up when the load was called off is neither answered nor failed.
        if Task.isCancelled, answer.end != .answered { return }
        finish(
            LoadOutcome(
                kind: kind, end: answer.end, due: schedule.due(number), ended: elapsed, version: answer.version, reconnected: answer.reconnected))
    }

    private func finish(_ outcome: LoadOutcome) { state.withLock { $0.record.add(outcome) } }
}
