import Logging
import StateStore

/// The row was taken over by another server: stop without touching it.
struct LeaseLost: Error {}

extension PipelineEngine {
    /// Runs `body` while the lease is renewed. When the lease is lost the body is cancelled and `LeaseLost` thrown;
    /// when the store cannot be asked the holder stops by its own clock before the lease expires.
    func holding<T: Sendable>(
        renew: @escaping @Sendable () async throws -> Bool, _ body: @escaping @Sendable () async throws -> T
    ) async throws -> T {
        let lease = settings.leaseSeconds
        return try await withThrowingTaskGroup(of: T?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                var lastRenewal = ContinuousClock.now
                while true {
                    try await Task.sleep(for: .seconds(lease * 0.3))
                    do {
                        guard try await renew() else { throw LeaseLost() }
                        lastRenewal = .now
                    } catch let error as LeaseLost {
                        throw error
                    } catch is CancellationError {
                        return nil
                    } catch  where ContinuousClock.now - lastRenewal > .seconds(lease * 0.8) {
                        throw LeaseLost()
                    } catch {
                        self.logger.warning("lease not renewed, trying again: \(error)")
                    }
                }
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw LeaseLost()
        }
    }
}
