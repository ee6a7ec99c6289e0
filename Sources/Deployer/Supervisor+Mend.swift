import DeliveryModel

extension Supervisor {
    func mend(_ order: RolloutOrder) async throws -> [Action] {
        // Another deployment already takes the requests: this one is on its way out, leave it to the rollout.
        guard try await owns(order) else { return [] }
        let target = try targets.target(named: order.target)
        let observed = try await target.observe(deployment: order.deployment)
        let wanted = order.instances
        var actions: [Action] = []
        await examine(observed, on: target, order)
        var serving: [Upstream] = []
        var untold: [InstanceSpec] = []
        let seen = try await router.currentRoute(key: order.routeKey)
        let inForce = seen?.upstreams ?? []
        for instance in wanted {
            let found = observed.first { $0.id == instance.id }
            let upkeep = try await target.upkeep(of: instance.id)
            if isLeft(instance.id, found, to: upkeep) { continue }
            if let reason = reasonToRestart(instance.id, found, order) {
                actions.append(try await restart(instance, found, reason, order))
            } else if let upstream = found?.upstream(port: order.service.port) {
                // A new address must answer well first; one in force is not dropped for a single bad answer.
                if looks[instance.id]?.problem == nil || inForce.contains(upstream) { serving.append(upstream) }
                if upkeep == .missing { untold.append(instance) }
            }
        }
        if !order.host.isEmpty, !serving.isEmpty, Set(serving) != Set(inForce) {
            let route = order.route(to: serving)
            guard try await mayAct(order) else { return actions }
            guard let generation = try await router.replace(seen, with: route) else { return actions }
            actions.append(.routed(key: order.routeKey))
            for extra in observed where extra.replica >= wanted.count {
                leaving[extra.id] = Leaving(deployment: order.deployment, generation: generation, since: now())
            }
        }
        for extra in observed where !wanted.contains(where: { $0.id == extra.id }) {
            guard try await mayGo(extra, order), try await mayAct(order) else { continue }
            leaving[extra.id] = nil
            try await target.stop(instance: extra.id, grace: settings.stopGrace, by: order.claim)
            actions.append(.stoppedSurplus(instance: extra.id))
        }
        for instance in untold where try await mayAct(order) { try await target.start(instance, by: order.claim) }
        return actions
    }

    /// Whether nothing is sent to a surplus instance any more, and what it was sent is answered or has had its time.
    private func mayGo(_ extra: InstanceObservation, _ order: RolloutOrder) async throws -> Bool {
        guard !order.host.isEmpty, extra.state == .running, let upstream = extra.upstream(port: order.service.port) else { return true }
        guard let route = try await router.currentRoute(key: order.routeKey) else { return true }
        if route.upstreams.contains(upstream) { return false }
        guard let left = leaving[extra.id] else { return true }
        try await router.confirm(left.generation)
        if try await router.drained(before: left.generation) { return true }
        return now() - left.since >= order.drainSeconds
    }

    /// Asks each instance for its health, unless that was done less than its interval ago.
    private func examine(_ observed: [InstanceObservation], on target: any Target, _ order: RolloutOrder) async {
        let check = order.service.health
        let time = now()
        let due = observed.filter { instance in
            guard .seconds(check.interval) > settings.interval, let last = looks[instance.id]?.time else { return true }
            return time < last || time - last >= check.interval
        }
        let answers = await Health(probe: probe, target: target).examine(due, service: order.service, host: order.host)
        for (id, problem) in answers {
            var look = looks[id] ?? Look()
            let startedAt = due.first { $0.id == id }?.startedAt
            if startedAt != look.startedAt { look = Look(startedAt: startedAt) }
            // An instance that was started again has its grace time to come up.
            let isComing = !look.hasAnswered && [journal.started(id), startedAt].contains { $0.map { now() - $0 <= check.grace } ?? false }
            look.time = time
            look.problem = problem
            look.failures = problem == nil || isComing ? 0 : look.failures + 1
            look.hasAnswered = look.hasAnswered || problem == nil
            looks[id] = look
        }
    }

    /// Whether an instance has ended and the machine is about to start it again.
    private func isLeft(_ id: String, _ found: InstanceObservation?, to upkeep: Upkeep) -> Bool {
        guard upkeep == .machine, found?.state != .running else {
            ended[id] = nil
            return false
        }
        let time = now()
        let since = ended[id].map { min($0, time) } ?? time
        ended[id] = since
        return .seconds(time - since) < settings.revival
    }

    private func reasonToRestart(_ id: String, _ found: InstanceObservation?, _ order: RolloutOrder) -> String? {
        guard let found else { return "it is gone" }
        switch found.state {
        case .exited(let code, let outOfMemory):
            return outOfMemory ? "it ran out of memory" : "it exited with code \(code)"
        case .created, .running:
            guard let look = looks[id], look.failures >= order.service.health.unhealthy else { return nil }
            return look.problem
        }
    }

    private func restart(
        _ instance: InstanceSpec, _ found: InstanceObservation?, _ reason: String, _ order: RolloutOrder
    ) async throws -> Action {
        let distance = Double(settings.restartDistance.components.seconds)
        if let last = journal.started(instance.id), now() - last < distance, now() >= last {
            return .postponed(instance: instance.id, reason: reason)
        }
        guard try await mayAct(order) else { return .postponed(instance: instance.id, reason: reason) }
        // Intent first: a crash in between must not make restarts more frequent.
        try await journal.record(instance.id, at: now())
        looks[instance.id] = nil
        ended[instance.id] = nil
        let target = try targets.target(named: order.target)
        if found != nil { try await target.stop(instance: instance.id, grace: settings.stopGrace, by: order.claim) }
        guard try await owns(order) else { return .postponed(instance: instance.id, reason: reason) }
        try await target.start(instance, by: order.claim)
        // A deployment that took over meanwhile may have stopped the instances of this one before it was there.
        guard try await owns(order) else {
            try await target.stop(instance: instance.id, grace: settings.stopGrace, by: nil)
            return .stoppedSurplus(instance: instance.id)
        }
        return .started(instance: instance.id, reason: reason)
    }

    /// Whether the order is in force now, not only when this look began: the server may have slept in between. In this order:
    /// when the deployment ends later, that takes the claim away again.
    private func mayAct(_ order: RolloutOrder) async throws -> Bool {
        try await targets.target(named: order.target).admit(order.claim)
        return try await declared().contains(order)
    }

    private func owns(_ order: RolloutOrder) async throws -> Bool {
        guard !order.host.isEmpty, let owner = try await router.currentRoute(key: order.routeKey)?.deployment else {
            return true
        }
        return owner == order.deployment
    }
}

/// What the supervisor knows of an instance's health.
struct Look {
    /// Of the instance that was asked; see ``InstanceObservation/startedAt``.
    var startedAt: Double?
    /// When it was asked last; seconds since 1970.
    var time = 0.0
    /// What was wrong then.
    var problem: String?
    /// Failed questions in a row that count.
    var failures = 0
    /// Whether it has answered well since it was started.
    var hasAnswered = false
}
