import BlockingQueue
public import ContainerRuntime
public import DeliveryModel

/// A router that is a program of its own with configuration files; see ``RouterDaemon``.
public protocol DaemonRouter: Router {
    var daemon: RouterDaemon { get }
    /// For `slipway doctor`: is the program there, and does ours serve.
    func check() async -> DoctorFinding
}

extension DaemonRouter {
    /// Answers in a row that make a generation confirmed.
    private var enough: Int { 8 }

    /// Starts the program with the routes of last time, or finds it running.
    public func start() async throws { try await daemon.serially { try await $0.ensureRunning() } }

    /// Whether the program runs now, ours and nobody else's.
    public var isRunning: Bool { daemon.program.master() != nil }

    /// Ends the program after the requests it has. A server that merely restarts leaves it alone.
    public func shutdown() async throws {
        try await daemon.serially { daemon in
            if let master = daemon.program.master() { try await daemon.program.quit(master) }
        }
    }

    public func renewCertificates() async throws -> [String] { try await daemon.serially { try await $0.renewCertificates() } }

    public func fence(_ key: String, by fence: RouteFence) async throws {
        try RouteValidation.check(key: key)
        try await daemon.serially { try await $0.note { table in try table.fencing(key, by: fence) } }
    }

    public func apply(_ route: Route, by fence: RouteFence) async throws -> RouterGeneration {
        try await daemon.serially { try await $0.change { table in try table.setting(route, by: fence) } }.generation
    }

    public func refresh(_ route: Route, by fence: RouteFence) async throws -> RouterGeneration? {
        let (table, generation) = try await daemon.serially { daemon in
            try await daemon.change { table in
                let owner = table.routes[route.key]?.deployment
                return owner == nil || owner == route.deployment ? try table.setting(route, by: fence) : table
            }
        }
        return table.routes[route.key] == route ? generation : nil
    }

    public func replace(_ seen: Route?, with route: Route) async throws -> RouterGeneration? {
        let (table, generation) = try await daemon.serially { daemon in
            try await daemon.change { table in
                guard table.routes[route.key] == seen, seen == nil || seen?.deployment == route.deployment else { return table }
                return try table.setting(route)
            }
        }
        return table.routes[route.key] == route ? generation : nil
    }

    public func remove(key: String, by fence: RouteFence) async throws {
        _ = try await daemon.serially { try await $0.change { table in try table.fencing(key, by: fence).removing(key: key) } }
    }

    public func forget(deployment: String) async throws {
        _ = try await daemon.serially { try await $0.change { table in table.forgetting(deployment: deployment) } }
    }

    public func deployments() async throws -> Set<String> {
        let table = try await daemon.load()
        return Set(table.routes.values.map(\.deployment) + table.fences.values.map(\.deployment))
    }

    public func currentRoute(key: String) async throws -> Route? { try await daemon.load().routes[key] }

    public func routes() async throws -> [Route] { Array(try await daemon.load().routes.values) }

    /// The generation in force.
    public func currentGeneration() async throws -> RouterGeneration {
        RouterGeneration(try await daemon.load().generation)
    }

    public func confirm(_ generation: RouterGeneration) async throws {
        let clock = ContinuousClock()
        let started = clock.now
        var streak = 0
        var reminders = 0
        var last = "no answer"
        while streak < enough {
            do {
                let answer = try await daemon.answeringGeneration()
                last = "generation \(answer)"
                streak = answer >= generation.number ? streak + 1 : 0
                if streak == enough, try await daemon.serially({ try await $0.stillTaking(before: generation) }) { streak = 0 }
            } catch let error where !(error is CancellationError) {
                last = "\(error)"
                streak = 0
            }
            if streak > 0 { continue }
            try Task.checkCancellation()
            let waited = clock.now - started
            guard waited < daemon.program.confirmTimeout else {
                throw DeployerError(
                    .routerNotReady, "the router still answers with \(last), not \(generation)",
                    hint: "see error.log in \(daemon.folder)")
            }
            // The signal may have been lost with the process that was to send it.
            if waited > .seconds(2) * (reminders + 1) {
                reminders += 1
                try await daemon.serially { try await $0.converge() }
            }
            try await clock.sleep(for: .milliseconds(20))
        }
    }

    public func drained(before generation: RouterGeneration) async throws -> Bool {
        try await daemon.serially { daemon in
            guard let master = daemon.program.master() else { return true }
            let workers = daemon.program.workers(of: master)
            let table = try await daemon.load()
            let old = table.replaced[generation.number]
            guard !workers.contains(where: { old?.contains($0.pid) ?? $0.leaving }) else { return false }
            return try await daemon.program.areIdle(in: table)
        }
    }

    public func trafficMark() async throws -> TrafficMark {
        try await daemon.prepare()
        return try await daemon.counts.mark()
    }

    public func traffic(key: String, since mark: TrafficMark) async throws -> [VersionTraffic] {
        try await daemon.prepare()
        return try await daemon.counts.count(key: key, since: mark) { [daemon] in try RouteTable.load(daemon.routesFile) }
    }

    public func rotateLogs() async throws {
        try await daemon.prepare()
        try await daemon.program.rotateLogs(daemon.counts)
    }
}
