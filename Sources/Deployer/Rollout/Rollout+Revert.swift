import DeliveryModel

extension Rollout {
    /// First the requests go back to whatever of the version before runs, in one write; then what is missing of it comes back;
    /// then the new instances go.
    func revert(_ job: RolloutJob) async throws -> RolloutOutcome {
        let order = job.order
        guard order.previous != nil else { return try await withdraw(order) }
        let seen = order.host.isEmpty ? nil : try await router.currentRoute(key: order.routeKey)
        let wasRouted = seen?.deployment == order.deployment
        var running = try await oldUpstreams(job)
        if wasRouted, !running.isEmpty { try await giveBack(job, running) }
        var problem: String?
        if let old = try await job.wholePrevious(), try await countRunning(old) < old.service.replicas {
            problem = await bringBack(old, by: order.claim)
            running = try await oldUpstreams(job)
        }
        if running.isEmpty {
            if wasRouted { return try await withdraw(order) }
        } else if seen != nil {
            let generation = try await giveBack(job, running)
            // Also when an earlier holder has written it: the new instances may have requests still.
            _ = try await waitUntilDrained(before: generation, seconds: order.drainSeconds)
        }
        try await target(order).stop(deployment: order.deployment, grace: stopGrace, by: order.claim)
        var message =
            wasRouted
            ? "\(order.host) is back with the previous instances, the new ones are stopped"
            : "the previous instances kept serving, the new ones are stopped"
        if let problem { message += "; not all of the previous ones are back yet: \(problem)" }
        return RolloutOutcome(.reverted(message), message)
    }

    /// There is nothing to go back to.
    private func withdraw(_ order: RolloutOrder) async throws -> RolloutOutcome {
        var message = "nothing was switched, the new instances are stopped"
        if !order.host.isEmpty, let route = try await router.currentRoute(key: order.routeKey), route.deployment == order.deployment {
            try await router.remove(key: order.routeKey, by: order.fence)
            message = "there is nothing to go back to: the route is removed, the new instances are stopped"
        }
        try await target(order).stop(deployment: order.deployment, grace: stopGrace, by: order.claim)
        return RolloutOutcome(.reverted(message), message)
    }

    @discardableResult
    private func giveBack(_ job: RolloutJob, _ upstreams: [Upstream]) async throws -> RouterGeneration {
        let generation = try await router.apply(job.before.route(to: upstreams), by: job.order.fence)
        try await router.confirm(generation)
        return generation
    }

    private func oldUpstreams(_ job: RolloutJob) async throws -> [Upstream] {
        let old = job.before
        return try await target(old).observe(deployment: old.deployment).compactMap { $0.upstream(port: old.service.port) }
    }

    private func countRunning(_ old: RolloutOrder) async throws -> Int {
        try await target(old).observe(deployment: old.deployment).count { $0.state == .running }
    }

    /// Starts the missing instances of the version before and waits for them, no longer than its grace time. Those that do
    /// not come are the supervisor's from then on, and no reason to keep the new ones; returns what is wrong with them.
    private func bringBack(_ old: RolloutOrder, by claim: Claim) async -> String? {
        do {
            let target = try target(old)
            for instance in old.instances { try await revive(instance, on: target, by: claim) }
            guard case .unfit(let reason) = try await warm(old, old.instances.count).event else { return nil }
            return reason
        } catch {
            return "\(error)"
        }
    }

    /// Makes an instance that is gone or ended run again.
    func revive(_ instance: InstanceSpec, on target: any Target, by claim: Claim) async throws {
        let found = try await target.observe(deployment: instance.deployment).first { $0.id == instance.id }
        if let found, case .exited = found.state {
            try await target.stop(instance: instance.id, grace: stopGrace, by: claim)
        } else if found != nil {
            return
        }
        try await target.start(instance, by: claim)
    }
}
