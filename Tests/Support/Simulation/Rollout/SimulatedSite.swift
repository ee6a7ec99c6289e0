import DeliveryModel

/// One replica of one deployment.
struct InstanceKey: Hashable {
    var deployment: Int
    var replica: Int
}

/// Where requests for the stage go.
struct SimulatedRoute: Equatable {
    var owner: Int
    /// Upstreams of each version, and the owner's share in thousandths.
    var upstreams: Set<InstanceKey>
    var share: Int
}

/// Target and router of one stage: what is really there, whoever asked for it.
struct SimulatedSite {
    enum Health { case starting, healthy, crashed }

    var instances: [InstanceKey: Health] = [:]
    /// By deployment: the newest claim that was admitted.
    var epochs: [Int: Int] = [:]
    var fence = (number: 0, epoch: 0)
    var route: SimulatedRoute?
    /// Routes that were replaced, and whose workers still take connections until the new one is confirmed.
    var leaving: [SimulatedRoute] = []
    /// Instances that may have requests of routes that are gone.
    var busy: Set<InstanceKey> = []

    func running(_ deployment: Int) -> [InstanceKey] {
        instances.filter { $0.key.deployment == deployment && $0.value != .crashed }.map(\.key).sorted { $0.replica < $1.replica }
    }

    func isAdmitted(_ deployment: Int, _ epoch: Int) -> Bool { (epochs[deployment] ?? 0) <= epoch }

    mutating func admit(_ deployment: Int, _ epoch: Int) -> Bool {
        guard isAdmitted(deployment, epoch) else { return false }
        epochs[deployment] = epoch
        return true
    }

    mutating func raise(_ number: Int, _ epoch: Int) -> Bool {
        guard (number, epoch) >= fence else { return false }
        fence = (number, epoch)
        return true
    }

    mutating func write(_ new: SimulatedRoute?) throws(Violation) {
        guard new != route else { return }
        if let new {
            if new.upstreams.isEmpty { throw Violation("a route without instances") }
            if !new.upstreams.contains(where: { instances[$0] != nil }) { throw Violation("a route to instances that were stopped: \(new)") }
        }
        if let route {
            leaving.append(route)
            busy.formUnion(route.upstreams)
        }
        route = new
    }

    mutating func confirm() { leaving = [] }

    mutating func stop(_ key: InstanceKey, isRetiring: Bool) throws(Violation) {
        guard let health = instances[key] else { return }
        if health != .crashed {
            let answering = leaving + (route.map { [$0] } ?? [])
            if answering.contains(where: { $0.upstreams.contains(key) }) { throw Violation("\(key) was stopped while requests went to it") }
            if isRetiring, busy.contains(key) { throw Violation("\(key) was stopped while it had requests") }
        }
        instances[key] = nil
        busy.remove(key)
    }
}
