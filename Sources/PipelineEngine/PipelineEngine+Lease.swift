import ContainerRuntime
import Logging
import StateStore

extension PipelineEngine {
    /// Runs `body` while the lease is renewed. When the lease is lost the body is cancelled and `LeaseLost` thrown;
    /// when the store cannot be asked, or does not answer, the holder stops by its own clock before the lease expires.
    ///
    /// - Parameters:
    ///   - fence: what the lease is of, and its epoch; nil for work that touches neither containers nor files.
    ///   - asked: when the claim was asked for.
    ///   - outlastsStore: go on while the store says that it is unavailable. Not when the holder was frozen.
    ///   - admit: makes the holder the only one that may act, before it looks at anything.
    func holding<T: Sendable>(
        _ fence: Fence?, asked: ContinuousClock.Instant, outlastsStore: Bool = false,
        admit: @escaping @Sendable () async throws -> Void = {}, renew: @escaping @Sendable () async throws -> Bool,
        _ body: @escaping @Sendable () async throws -> T
    ) async throws -> T {
        let seconds = settings.leaseSeconds
        let lease = HeldLease(fence: fence, asked: asked, limit: .seconds(seconds * 0.8))
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask {
                try await HeldLease.$current.withValue(lease) {
                    try await admit()
                    // A claim that slept until its row was over must not bring the epoch of that row back to life.
                    try lease.assertHeld()
                    return try await body()
                }
            }
            group.addTask {
                while true {
                    try await Task.sleep(for: .seconds(seconds * 0.3))
                    let asked = ContinuousClock.now
                    do {
                        guard try await renew() else { throw LeaseLost() }
                        lease.wasRenewed(asked: asked)
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
                if outlastsStore { try await self.untilFrozen(longerThan: .seconds(seconds * 0.5)) }
                while true {
                    try lease.assertHeld()
                    try await Task.sleep(for: lease.left)
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
