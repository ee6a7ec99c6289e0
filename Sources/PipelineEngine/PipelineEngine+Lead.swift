import Logging
import ServiceLifecycle
import StateStore

/// What one server at a time does for all: what is live is looked after, leftovers go, branches are compared.
extension PipelineEngine {
    static let leaderLease = "leader"

    /// Leads whenever nobody else does, until the server stops.
    func lead() async throws {
        guard settings.isShared else { return try await beLeader() }
        while !Task.isCancelled {
            let heard = bell.count
            do {
                let asked = ContinuousClock.now
                if let lease = try await parts.store.claimLease(
                    Self.leaderLease, holder: settings.holder, leaseSeconds: settings.leaseSeconds)
                {
                    trouble.isOver()
                    logger.info("this server looks after what is live", metadata: ["epoch": "\(lease.epoch)"])
                    // Without the store nobody else can take over; what is live must not be left alone meanwhile.
                    try await holding(nil, asked: asked, outlastsStore: true) {
                        try await parts.store.renewLease(Self.leaderLease, epoch: lease.epoch, leaseSeconds: settings.leaseSeconds)
                    } _: {
                        try await beLeader()
                    }
                    return
                }
            } catch is CancellationError {
                return
            } catch is LeaseLost {
                logger.warning("another server looks after what is live now")
            } catch let error as StateError where error.code == .unavailable {
                trouble.began(error)
            }
            await bell.wait(after: heard, atMost: .seconds(1))
        }
    }

    private func beLeader() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for service in parts.led { group.addTask { try await service.run() } }
            group.addTask { await watchBranches() }
            group.addTask { await prune() }
            group.addTask { await sweep() }
            group.addTask { await promoteByRules() }
            group.addTask { await watchSchedules() }
            try await group.waitForAll()
        }
    }
}
