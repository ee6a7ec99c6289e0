import Logging
import StateStore
import Synchronization

/// The row was taken over by another server: stop without touching it.
struct LeaseLost: Error {}

/// When a lease was renewed last, by the holder's own clock.
private final class Renewal: Sendable {
    private let last = Mutex(ContinuousClock.now)

    var age: Duration { ContinuousClock.now - last.withLock { $0 } }

    func happened(at time: ContinuousClock.Instant) { last.withLock { $0 = time } }
}

extension PipelineEngine {
    /// Runs `body` while the lease is renewed. When the lease is lost the body is cancelled and `LeaseLost` thrown;
    /// when the store cannot be asked, or does not answer, the holder stops by its own clock before the lease expires.
    ///
    /// - Parameter outlastsStore: go on while the store says that it is unavailable. Not when the holder was frozen.
    func holding<T: Sendable>(
        outlastsStore: Bool = false, renew: @escaping @Sendable () async throws -> Bool, _ body: @escaping @Sendable () async throws -> T
    ) async throws -> T {
        let lease = settings.leaseSeconds
        let renewal = Renewal()
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                while true {
                    try await Task.sleep(for: .seconds(lease * 0.3))
                    // The lease is counted from no earlier than this.
                    let asked = ContinuousClock.now
                    do {
                        guard try await renew() else { throw LeaseLost() }
                        renewal.happened(at: asked)
                    } catch let error as LeaseLost {
                        throw error
                    } catch is CancellationError {
                        return nil
                    } catch let error as StateError where outlastsStore && error.code == .unavailable {
                        self.trouble.began(error)
                    } catch {
                        self.logger.warning("lease not renewed, trying again: \(error)")
                    }
                }
            }
            // Beside the renewal: a store that hangs must not keep the holder from stopping.
            group.addTask {
                if outlastsStore { try await self.untilFrozen(longerThan: .seconds(lease * 0.5)) }
                let limit = Duration.seconds(lease * 0.8)
                while true {
                    let left = limit - renewal.age
                    guard left > .zero else { throw LeaseLost() }
                    try await Task.sleep(for: left)
                }
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw LeaseLost()
        }
    }

    /// Throws once this process stood still: others may have taken over meanwhile.
    private func untilFrozen(longerThan limit: Duration) async throws {
        while true {
            let before = ContinuousClock.now
            try await Task.sleep(for: .seconds(1))
            if ContinuousClock.now - before > .seconds(1) + limit { throw LeaseLost() }
        }
    }
}
