import BlockingQueue
public import SystemPackage

/// A router made of an nginx of our own.
///
/// Everything it needs lies in one folder: `routes.json` (what is wanted), `nginx.conf` (rendered from it),
/// `conf/<generation>.conf` (this one and the one before), logs, pid and temporary files. nginx is a daemon that
/// outlives this process; a router made later on the same folder finds it again.
///
/// A change is: render, `nginx -t`, write the routes, rename the configuration in, ask busy clients over, SIGHUP. Changes
/// run one after another, file work on a private thread. Several processes may have a router on one folder: the routes are
/// written under a lock, and a change that another process was faster than begins anew with what that one wrote.
public struct NginxRouter: Router {
    /// Answers in a row that make a generation confirmed.
    private static let enough = 8

    let settings: NginxSettings
    let process: NginxProcess
    let folder: FilePath
    private let probe: any HTTPProbe
    private let gate = Gate()
    let counts: TrafficCounts
    let queue = BlockingQueue(label: "router", width: 1)

    /// - Parameters:
    ///   - folder: made when missing; nothing else may live there. Use one router value per process and folder.
    ///   - probe: asks the router which generation answers.
    public init(folder: FilePath, settings: NginxSettings, probe: any HTTPProbe) throws {
        guard RouteValidation.isAddress(settings.listenAddress), (1...65535).contains(settings.listenPort) else {
            throw DeployerError(
                .invalidValue, "the router cannot listen on \(settings.listenAddress) port \(settings.listenPort)",
                hint: "use an IP address and a port from 1 to 65535")
        }
        self.folder = folder
        self.settings = settings
        self.process = NginxProcess(folder: folder, settings: settings)
        self.probe = probe
        self.counts = TrafficCounts(folder: folder, format: NginxTrafficLine())
    }

    /// Starts nginx with the routes of last time, or finds it running.
    public func start() async throws { try await serially { try await $0.ensureRunning() } }

    /// Ends nginx after the requests it has. A server that merely restarts leaves it alone.
    public func shutdown() async throws {
        try await serially { router in
            if let master = router.process.master() { try router.process.quit(master) }
        }
    }

    public func fence(_ key: String, by fence: RouteFence) async throws {
        try RouteValidation.check(key: key)
        try await serially { try await $0.note { table in try table.fencing(key, by: fence) } }
    }

    public func apply(_ route: Route, by fence: RouteFence) async throws -> RouterGeneration {
        try await serially { try await $0.change { table in try table.setting(route, by: fence) } }.generation
    }

    public func refresh(_ route: Route, by fence: RouteFence) async throws -> RouterGeneration? {
        let (table, generation) = try await serially { router in
            try await router.change { table in
                let owner = table.routes[route.key]?.deployment
                return owner == nil || owner == route.deployment ? try table.setting(route, by: fence) : table
            }
        }
        return table.routes[route.key] == route ? generation : nil
    }

    public func replace(_ seen: Route?, with route: Route) async throws -> RouterGeneration? {
        let (table, generation) = try await serially { router in
            try await router.change { table in
                guard table.routes[route.key] == seen, seen == nil || seen?.deployment == route.deployment else { return table }
                return try table.setting(route)
            }
        }
        return table.routes[route.key] == route ? generation : nil
    }

    public func remove(key: String, by fence: RouteFence) async throws {
        _ = try await serially { try await $0.change { table in try table.fencing(key, by: fence).removing(key: key) } }
    }

    public func forget(deployment: String) async throws {
        _ = try await serially { try await $0.change { table in table.forgetting(deployment: deployment) } }
    }

    public func deployments() async throws -> Set<String> {
        let table = try await load()
        return Set(table.routes.values.map(\.deployment) + table.fences.values.map(\.deployment))
    }

    public func currentRoute(key: String) async throws -> Route? { try await load().routes[key] }

    public func routes() async throws -> [Route] { Array(try await load().routes.values) }

    /// The generation in force.
    public func currentGeneration() async throws -> RouterGeneration {
        RouterGeneration(try await load().generation)
    }

    public func confirm(_ generation: RouterGeneration) async throws {
        let clock = ContinuousClock()
        let started = clock.now
        var streak = 0
        var reminders = 0
        var last = "no answer"
        while streak < Self.enough {
            do {
                let answer = try await answeringGeneration()
                last = "generation \(answer)"
                streak = answer >= generation.number ? streak + 1 : 0
                if streak == Self.enough, try await serially({ try await $0.stillTaking(before: generation) }) { streak = 0 }
            } catch let error where !(error is CancellationError) {
                last = "\(error)"
                streak = 0
            }
            if streak > 0 { continue }
            try Task.checkCancellation()
            let waited = clock.now - started
            guard waited < settings.confirmTimeout else {
                throw DeployerError(
                    .routerNotReady, "the router still answers with \(last), not \(generation)",
                    hint: "see error.log in \(folder)")
            }
            // The signal may have been lost with the process that was to send it.
            if waited > .seconds(2) * (reminders + 1) {
                reminders += 1
                try await serially { try await $0.converge() }
            }
            try await clock.sleep(for: .milliseconds(20))
        }
    }

    public func drained(before generation: RouterGeneration) async throws -> Bool {
        try await serially { router in
            guard let master = router.process.master() else { return true }
            let workers = router.process.workers(of: master)
            guard let old = try await router.load().replaced[generation.number] else {
                return !workers.contains { $0.leaving }
            }
            return !workers.contains { old.contains($0.pid) }
        }
    }

    /// Whether an old worker has not been told to leave yet.
    private func stillTaking(before generation: RouterGeneration) async throws -> Bool {
        guard let master = process.master(), let old = try await load().replaced[generation.number] else { return false }
        return process.workers(of: master).contains { !$0.leaving && old.contains($0.pid) }
    }

    /// Asks over a new connection.
    private func answeringGeneration() async throws -> Int {
        let local = ["0.0.0.0": "127.0.0.1", "::": "::1"]
        let answer = try await probe.get(
            ProbeQuestion(
                address: local[settings.listenAddress] ?? settings.listenAddress, port: settings.listenPort, path: "/",
                host: NginxConfiguration.generationHost, timeout: .seconds(2)))
        let text = String(decoding: answer.body.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        guard answer.status == 200, let number = Int(text) else {
            throw DeployerError(
                .portTaken, "another program answers on the router's port \(settings.listenPort)",
                hint: "set another router port")
        }
        return number
    }

    private func serially<T: Sendable>(_ body: @escaping @Sendable (NginxRouter) async throws -> T) async throws -> T {
        try await gate.pass { try await body(self) }
    }
}
