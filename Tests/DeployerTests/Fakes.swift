import DeliveryModel
import OCIModel
import Synchronization
import SystemPackage

@testable import Deployer

/// A clock whose sleeps take no time and move it on.
final class JumpClock: Clock {
    struct Instant: InstantProtocol {
        var offset: Swift.Duration
        func advanced(by duration: Swift.Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Swift.Duration { other.offset - offset }
        static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private let time = Mutex(Swift.Duration.zero)
    private let planned = Mutex<[(at: Swift.Duration, what: @Sendable () -> Void)]>([])
    var now: Instant { Instant(offset: time.withLock { $0 }) }
    var seconds: Double { Double(now.offset.components.seconds) }
    let minimumResolution = Swift.Duration.nanoseconds(1)

    func sleep(until deadline: Instant, tolerance: Swift.Duration?) async throws {
        try Task.checkCancellation()
        let now = time.withLock { time in
            time = max(time, deadline.offset)
            return time
        }
        let due = planned.withLock { planned in
            defer { planned.removeAll { $0.at <= now } }
            return planned.filter { $0.at <= now }
        }
        for one in due { one.what() }
        await Task.yield()
    }

    /// What happens when somebody has slept so long from now on.
    func later(_ delay: Swift.Duration, _ what: @escaping @Sendable () -> Void) {
        let at = now.offset + delay
        planned.withLock { $0.append((at, what)) }
    }
}

struct Broken: Error {}

/// Instances in a dictionary; addresses are 10.0.0.<n>.
final class FakeTarget: Target {
    struct State {
        var processorSeconds: [String: Double] = [:]
        var instances: [String: InstanceObservation] = [:]
        var starts: [String] = []
        var stops: [String] = []
        var count = 0
        var refuseStart = false
        /// Of instances by their id; the rest is the caller's.
        var upkeep: [String: Upkeep] = [:]
        var commandEnd = CommandEnd(.exited(0))
        /// What is waited for when a command is run.
        var command: @Sendable () async throws -> Void = {}
        var epochs: [String: Int64] = [:]
        /// What happens elsewhere while an instance starts.
        var meanwhile: @Sendable () -> Void = {}
    }

    let state = Mutex(State())

    func admit(_ claim: Claim) async throws {
        try state.withLock { state in
            if let epoch = state.epochs[claim.deployment], epoch > claim.epoch { throw Self.fenced }
            state.epochs[claim.deployment] = claim.epoch
        }
    }

    func dismiss(deployment: String, by claim: Claim?) async throws {
        try check(claim)
        state.withLock { $0.epochs[deployment] = .max }
    }

    private static let fenced = DeployerError(.staleHolder, "taken over", hint: "")

    private func check(_ claim: Claim?) throws {
        guard let claim else { return }
        try state.withLock { if let epoch = $0.epochs[claim.deployment], epoch > claim.epoch { throw Self.fenced } }
    }

    func start(_ instance: InstanceSpec, by claim: Claim) async throws {
        try check(claim)
        state.withLock { $0.meanwhile }()
        try state.withLock { state in
            if state.refuseStart { throw Broken() }
            if state.upkeep[instance.id] == .missing { state.upkeep[instance.id] = .machine }
            guard state.instances[instance.id] == nil else { return }
            state.count += 1
            state.starts.append(instance.id)
            state.instances[instance.id] = InstanceObservation(
                id: instance.id, deployment: instance.deployment, replica: instance.replica, state: .running,
                address: "10.0.0.\(state.count)", port: instance.service.port)
        }
    }

    func upkeep(of instance: String) async throws -> Upkeep { state.withLock { $0.upkeep[instance] ?? .caller } }

    /// As systemd does: at the address it had.
    func revive(_ id: String, at time: Double) {
        state.withLock {
            $0.instances[id]?.state = .running
            $0.instances[id]?.startedAt = time
        }
    }

    func observe(deployment: String) async throws -> [InstanceObservation] {
        state.withLock { state in
            state.instances.values.filter { $0.deployment == deployment }.sorted { $0.replica < $1.replica }
        }
    }

    func find(instance: String) async throws -> InstanceObservation? { state.withLock { $0.instances[instance] } }

    func deployments() async throws -> Set<String> { state.withLock { Set($0.instances.values.map(\.deployment)) } }

    func stop(deployment: String, grace: Duration, by claim: Claim?) async throws {
        for instance in try await observe(deployment: deployment) { try await stop(instance: instance.id, grace: grace, by: claim) }
    }

    func stop(instance: String, grace: Duration, by claim: Claim?) async throws {
        try check(claim)
        state.withLock { state in
            if state.instances.removeValue(forKey: instance) != nil { state.stops.append(instance) }
        }
    }

    func run(_ command: [String], in instance: String, timeout: Duration) async throws -> CommandEnd {
        try await state.withLock { $0.command }()
        return state.withLock { $0.commandEnd }
    }

    func logTail(instance: String, lines: Int) async throws -> [String] { ["last words of \(instance)"] }

    func processorSeconds(deployment: String) async throws -> [String: Double] { state.withLock { $0.processorSeconds } }

    func collect(outputOf instance: String, into file: FilePath) async throws {}

    func end(_ id: String, code: Int32) {
        state.withLock { $0.instances[id]?.state = .exited(code: code, outOfMemory: false) }
    }

    func running(_ deployment: String) -> Int {
        state.withLock { state in state.instances.values.count { $0.deployment == deployment && $0.state == .running } }
    }
}

final class FakeRouter: Router {
    struct State {
        var routes: [String: Route] = [:]
        var fences: [String: RouteFence] = [:]
        var generation = 0
        var refuseConfirm = false
        var neverDrains = false
        var traffic: @Sendable () -> [VersionTraffic] = { [] }
    }

    let state = Mutex(State())

    func fence(_ key: String, by fence: RouteFence) async throws {
        try state.withLock { state in
            if let last = state.fences[key], fence < last { throw DeployerError(.staleHolder, "stale", hint: "") }
            state.fences[key] = fence
        }
    }

    func apply(_ route: Route, by fence: RouteFence) async throws -> RouterGeneration {
        try RouteValidation.check(route)
        try await self.fence(route.key, by: fence)
        return set(route)
    }

    private func set(_ route: Route) -> RouterGeneration {
        state.withLock { state in
            if state.routes[route.key] != route {
                state.routes[route.key] = route
                state.generation += 1
            }
            return RouterGeneration(state.generation)
        }
    }

    func refresh(_ route: Route, by fence: RouteFence) async throws -> RouterGeneration? {
        let owner = state.withLock { $0.routes[route.key]?.deployment }
        return owner == nil || owner == route.deployment ? try await apply(route, by: fence) : nil
    }

    func replace(_ seen: Route?, with route: Route) async throws -> RouterGeneration? {
        state.withLock { $0.routes[route.key] } == seen ? set(route) : nil
    }

    func confirm(_ generation: RouterGeneration) async throws {
        let refuse = state.withLock { state in
            defer { state.refuseConfirm = false }
            return state.refuseConfirm
        }
        if refuse { throw Broken() }
    }

    func drained(before generation: RouterGeneration) async throws -> Bool { state.withLock { !$0.neverDrains } }
    func remove(key: String, by fence: RouteFence) async throws {
        try await self.fence(key, by: fence)
        state.withLock { _ = $0.routes.removeValue(forKey: key) }
    }

    func forget(deployment: String) async throws {
        state.withLock { state in
            state.routes = state.routes.filter { $0.value.deployment != deployment }
            state.fences = state.fences.filter { $0.value.deployment != deployment }
        }
    }

    func traffic(key: String, since mark: TrafficMark) async throws -> [VersionTraffic] { state.withLock { $0.traffic }() }

    func deployments() async throws -> Set<String> {
        state.withLock { Set($0.routes.values.map(\.deployment) + $0.fences.values.map(\.deployment)) }
    }
    func currentRoute(key: String) async throws -> Route? { state.withLock { $0.routes[key] } }
    func routes() async throws -> [Route] { state.withLock { Array($0.routes.values) } }
}

/// Answers 200, except for addresses told otherwise.
final class FakeProbe: HTTPProbe {
    let bad = Mutex<Set<String>>([])
    /// These answer well every second time.
    let flapping = Mutex<Set<String>>([])
    private let asked = Mutex(0)
    let last = Mutex<ProbeQuestion?>(nil)

    func connect(_ address: String, port: Int, timeout: Duration) async throws {
        if bad.withLock({ $0.contains(address) }) { throw ProbeFailure("connection refused") }
    }

    func get(_ question: ProbeQuestion) async throws -> ProbeAnswer {
        let isOdd = asked.withLock { count in
            count += 1
            return count % 2 == 1
        }
        let flaps = isOdd && flapping.withLock { $0.contains(question.address) }
        last.withLock { $0 = question }
        return ProbeAnswer(status: flaps || bad.withLock { $0.contains(question.address) } ? 500 : 200)
    }
}

func order(
    _ deployment: String, previous: String? = nil, replicas: Int = 2, strategy: RolloutStrategy = .blueGreen(.init())
) -> RolloutOrder {
    RolloutOrder(
        deployment: deployment, project: "shop", pipeline: "web", stage: "prod", image: Digest.sha256(Array(deployment.utf8)),
        service: ServiceDefinition(port: 8080, health: HealthCheck(path: "/healthz", grace: 20), replicas: replicas),
        strategy: strategy, host: "shop.localhost", drainSeconds: 5, previous: previous)
}

extension RouteFence {
    static let lowest = RouteFence(deployment: "d0", number: 0, epoch: 0)
}

extension Router {
    func apply(_ route: Route) async throws -> RouterGeneration { try await apply(route, by: .lowest) }
    func refresh(_ route: Route) async throws -> RouterGeneration? { try await refresh(route, by: .lowest) }
    func remove(key: String) async throws { try await remove(key: key, by: .lowest) }
    func currentUpstreams(key: String) async throws -> [Upstream] { try await currentRoute(key: key)?.upstreams ?? [] }
}

extension Rollout {
    /// One task of a state, and the state after it.
    func step(
        _ progress: inout RolloutProgress, _ order: RolloutOrder, previous: RolloutOrder? = nil, at now: Double = 0,
        wholePrevious: (@Sendable () async throws -> RolloutOrder?)? = nil
    ) async throws -> RolloutOutcome {
        guard let task = progress.task else { throw Broken() }
        let job = RolloutJob(
            order: order, previous: previous, heldUntil: progress.heldUntil, mark: progress.mark, wholePrevious: wholePrevious)
        let outcome = try await perform(task, job)
        progress.apply(outcome.event, at: now)
        return outcome
    }
}

extension RolloutProgress {
    /// One that has just begun.
    static func begun(_ order: RolloutOrder, previous: RolloutOrder? = nil, soak: Double = 0) -> RolloutProgress {
        var progress = RolloutProgress()
        progress.apply(
            .begun(
                RolloutSchedule(
                    strategy: order.strategy, wanted: order.service.replicas, serving: previous?.service.replicas ?? 0, soak: soak)), at: 0)
        return progress
    }
}
