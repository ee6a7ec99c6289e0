import ContainerRuntime
import Synchronization

/// The row was taken over by another server: stop without touching it.
struct LeaseLost: Error {}

/// A lease of ours, by our own clock, which also counts while the machine or this process sleeps.
final class HeldLease: Sendable {
    /// The lease under which the present task works.
    @TaskLocal static var current: HeldLease?

    /// What containers and files are touched by; nil for work that touches none.
    let fence: Fence?
    private let limit: Duration
    private let renewed: Mutex<ContinuousClock.Instant>

    /// - Parameters:
    ///   - asked: when the store was asked for it: it is counted from no earlier than this.
    ///   - limit: after this time without renewal the holder stops, well before the lease expires.
    init(fence: Fence?, asked: ContinuousClock.Instant, limit: Duration) {
        self.fence = fence
        self.limit = limit
        renewed = Mutex(asked)
    }

    /// How long it lasts without another renewal; zero or less when it is over.
    var left: Duration { limit - (ContinuousClock.now - renewed.withLock { $0 }) }

    func wasRenewed(asked: ContinuousClock.Instant) { renewed.withLock { $0 = max($0, asked) } }

    /// To be called right before an effect that nobody else refuses when it comes too late.
    func assertHeld() throws(LeaseLost) {
        guard left > .zero else { throw LeaseLost() }
    }
}
