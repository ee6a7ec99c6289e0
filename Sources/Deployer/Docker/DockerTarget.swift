public import AsyncHTTPClient
public import Logging
import NIOCore
import NIOHTTP1
public import OCIModel
import Synchronization
public import SystemPackage

/// Instances as containers of Docker daemons, on this machine or others; or of Podman, which answers the same questions.
/// Hosts that are reached by ssh are there while ``run()`` runs.
///
/// Replicas are spread over the hosts in turn, and looked for on all of them. What exists is what the daemons say: nothing is
/// remembered here. A host that is away is said once and does not hide the others; what concerns it fails until it is back.
/// Claims are kept on the hosts themselves, see `DockerTarget+Fence`.
public struct DockerTarget: Target {
    public struct Settings: Sendable {
        /// At least one.
        public var hosts: [DockerHost]
        /// For hosts that are asked by TCP; nil: plain HTTP.
        public var tls: DockerTLS?
        /// Tells the instances of this server from those of others on the same host: an id of its data directory.
        public var owner: String
        /// How long one image may take to arrive.
        public var pullTimeout: Duration
        /// A new holder waits this long after it has made itself known: longer than one before it may be about to act by what
        /// it was told earlier.
        public var settle: Duration
        /// Where sockets of hosts that are reached by ssh are put: a folder of this target and this process alone, with a path so short that
        /// a socket in it has 107 bytes (unix(7)).
        public var sockets: FilePath
        /// ssh(1), by its path or as PATH has it.
        public var ssh: String

        public init(
            hosts: [DockerHost], tls: DockerTLS? = nil, owner: String, pullTimeout: Duration = .seconds(900), settle: Duration = .seconds(5),
            sockets: FilePath = "/run/slipway/ssh", ssh: String = "ssh"
        ) {
            self.hosts = hosts
            self.tls = tls
            self.owner = owner
            self.pullTimeout = pullTimeout
            self.settle = settle
            self.sockets = sockets
            self.ssh = ssh
        }
    }

    static let ownerLabel = "slipway.server"

    let settings: Settings
    let apis: [DockerAPI]
    let source: @Sendable (Digest, DockerHost) async throws -> DockerImageSource
    private let logger: Logger
    private let away = AwayHosts()
    let leftovers = LeftoverPrograms()

    /// - Parameters:
    ///   - client: lent, as made by ``makeClient()``.
    ///   - source: where a host can pull an image from.
    public init(
        settings: Settings, client: HTTPClient, logger: Logger,
        source: @escaping @Sendable (Digest, DockerHost) async throws -> DockerImageSource
    ) {
        self.settings = settings
        self.source = source
        self.logger = logger
        apis = settings.hosts.enumerated().map { index, host in
            switch host.endpoint {
            case .unix: return DockerAPI(host: host, client: client)
            case .tcp: return DockerAPI(host: host, tls: settings.tls, client: client)
            case .ssh(let remote):
                let forward = SSHForward(
                    of: remote, to: settings.sockets.appending(String(index)), name: host.description, program: settings.ssh, logger: logger)
                return DockerAPI(host: host, forward: forward, client: client)
            }
        }
    }

    /// A client for any number of targets; whoever makes it shuts it down.
    public static func makeClient() -> HTTPClient {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: .seconds(3))
        configuration.httpVersion = .http1Only
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(configuration: configuration)
    }

    /// Asks every host for its version: one line for each, or what is wrong with it.
    public func check() async -> [(host: String, result: Result<String, any Error>)] {
        await onEach { api in "Docker API \(try await api.negotiate())" }.map { ($0.api.host.description, $0.result) }
    }

    public func observe(deployment: String) async throws -> [InstanceObservation] {
        let found = try await onAnswering { api in
            var observed: [(api: DockerAPI, container: DockerValues.Container)] = []
            for listed in try await self.list(api, deployment: deployment) {
                // It may have been removed since.
                if let container = try await self.inspect(listed.id, api) { observed.append((api, container)) }
            }
            return observed.compactMap { self.observation($0.container, on: $0.api.host) }
        }.flatMap { $0 }
        // After the list of hosts was changed an instance may be on two of them: the one that runs counts.
        var byID: [String: InstanceObservation] = [:]
        for instance in found where byID[instance.id] == nil || instance.state == .running { byID[instance.id] = instance }
        return byID.values.sorted { ($0.replica, $0.id) < ($1.replica, $1.id) }
    }

    public func find(instance: String) async throws -> InstanceObservation? {
        var problem: (any Error)?
        for (api, result) in await onEach({ api in try await self.inspect(instance, api) }) {
            do {
                if let found = try result.get(), isOurs(found), let seen = observation(found, on: api.host) { return seen }
            } catch { problem = error }
        }
        if let problem { throw problem }
        return nil
    }

    public func deployments() async throws -> Set<String> {
        Set(
            try await onAnswering { api in
                try await self.list(api).compactMap { $0.labels?[InstanceSpec.deploymentLabel] }
            }.flatMap { $0 })
    }

    public func stop(deployment: String, grace: Duration, by claim: Claim?) async throws {
        try await onAll { api in
            let ids = try await self.list(api, deployment: deployment).map(\.id)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in ids {
                    group.addTask { if let found = try await self.inspect(id, api) { try await self.remove(found, api, grace, claim) } }
                }
                try await group.waitForAll()
            }
        }
    }

    public func stop(instance: String, grace: Duration, by claim: Claim?) async throws {
        try await onAll { api in
            guard let found = try await self.inspect(instance, api), self.isOurs(found) else { return }
            try await self.remove(found, api, grace, claim)
        }
    }

    public func logTail(instance: String, lines: Int) async throws -> [String] {
        for found in try await onAnswering({ api in try await self.inspect(instance, api).map { (api, $0) } }) {
            guard let (api, container) = found, isOurs(container) else { continue }
            let query = [("stdout", "1"), ("stderr", "1"), ("tail", String(max(0, lines)))]
            let answer = try await api.ask(.GET, "/containers/\(container.id)/logs", query: query, expecting: [404])
            if let answer, answer.status != 404 { return DockerLog.lines(answer.body, last: lines) }
        }
        return []
    }

    public func processorSeconds(deployment: String) async throws -> [String: Double] {
        let parts = try await onAnswering { api in
            var used: [(String, Double)] = []
            for listed in try await self.list(api, deployment: deployment) {
                // With one-shot the daemon does not wait for a second look of its own.
                let path = "/containers/\(DockerHost.escape(listed.id))/stats"
                guard let stats: DockerValues.Stats = try await api.get(path, query: [("stream", "false"), ("one-shot", "true")]),
                    let name = stats.name, let nanoseconds = stats.cpu?.usage?.total, nanoseconds > 0
                else { continue }
                used.append((String(name.drop { $0 == "/" }), nanoseconds / 1e9))
            }
            return used
        }
        return Dictionary(parts.flatMap { $0 }, uniquingKeysWith: { first, _ in first })
    }

    public func collect(outputOf instance: String, into file: FilePath) async throws {
        let log = CollectedLog(file: file)
        for found in try await onAnswering({ api in try await self.inspect(instance, api).map { (api, $0) } }) {
            guard let (api, container) = found, isOurs(container) else { continue }
            let end = try await log.end()
            let since = end.flatMap(DockerLog.since).map { [("since", $0)] } ?? []
            let answer = try await api.ask(
                .GET, "/containers/\(container.id)/logs", query: [("stdout", "1"), ("stderr", "1"), ("timestamps", "1")] + since,
                expecting: [404], limit: 64 << 20)
            if let answer, answer.status != 404 { try await log.append(DockerLog.entries(answer.body, after: end)) }
        }
    }

    // MARK: Containers

    func inspect(_ container: String, _ api: DockerAPI) async throws -> DockerValues.Container? {
        try await api.get("/containers/\(DockerHost.escape(container))/json")
    }

    private func list(_ api: DockerAPI, deployment: String? = nil) async throws -> [DockerValues.Listed] {
        var labels = ["\(Self.ownerLabel)=\(settings.owner)"]
        if let deployment { labels.append("\(InstanceSpec.deploymentLabel)=\(deployment)") }
        let found: [DockerValues.Listed] = try await api.get("/containers/json", query: [("all", "1"), ("filters", try Self.filters(labels))]) ?? []
        return found.filter { Self.bears($0.labels, labels) }
    }

    func isOurs(_ container: DockerValues.Container) -> Bool { container.config.labels?[Self.ownerLabel] == settings.owner }

    private func observation(_ container: DockerValues.Container, on host: DockerHost) -> InstanceObservation? {
        let labels = container.config.labels ?? [:]
        guard let deployment = labels[InstanceSpec.deploymentLabel] else { return nil }
        let state: InstanceObservation.State
        switch container.state.status {
        case "created", "configured", "initialized": state = .created
        case "removing": return nil
        case "exited", "dead", "stopped":
            state = .exited(code: container.state.exitCode ?? -1, outOfMemory: container.state.outOfMemory ?? false)
        default: state = .running
        }
        let port = labels[InstanceSpec.portLabel].flatMap { Int($0) }
        let healthPort = labels[InstanceSpec.healthPortLabel].flatMap { Int($0) }
        var observed = InstanceObservation(
            id: String(container.name.drop { $0 == "/" }), deployment: deployment,
            replica: labels[InstanceSpec.replicaLabel].flatMap { Int($0) } ?? 0, state: state)
        if let address = host.address {
            func published(_ port: Int?) -> Int? {
                port.flatMap { container.networking?.ports?["\($0)/tcp"] }.flatMap { $0?.first }.flatMap { Int($0.hostPort) }
            }
            observed.port = published(port)
            observed.healthPort = published(healthPort)
            observed.address = observed.port == nil && observed.healthPort == nil ? nil : address
        } else {
            let addresses = (container.networking?.networks ?? [:]).sorted { $0.key < $1.key }.compactMap(\.value.address)
            observed.address = addresses.first { !$0.isEmpty }
            observed.port = port
        }
        return observed
    }

    // MARK: Hosts

    /// On all hosts at once.
    func onEach<T: Sendable>(_ body: @escaping @Sendable (DockerAPI) async throws -> T) async -> [(api: DockerAPI, result: Result<T, any Error>)] {
        let results = await withTaskGroup(of: (Int, Result<T, any Error>).self) { group in
            for (index, api) in apis.enumerated() {
                group.addTask {
                    do { return (index, .success(try await body(api))) } catch { return (index, .failure(error)) }
                }
            }
            var results: [(Int, Result<T, any Error>)] = []
            for await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }
        }
        for (index, result) in results {
            if case .failure(let error as DeployerError) = result, error.code == .targetUnreachable {
                if away.began(index) { logger.error("\(error); its instances are not seen until it is back") }
            } else if away.ended(index) {
                logger.notice("the docker host \(apis[index].host) answers again")
            }
        }
        return results.map { (apis[$0.0], $0.1) }
    }

    /// What the hosts say that answer.
    ///
    /// - Throws: when none does, or one refuses.
    func onAnswering<T: Sendable>(_ body: @escaping @Sendable (DockerAPI) async throws -> T) async throws -> [T] {
        var values: [T] = []
        var last: (any Error)?
        for (_, result) in await onEach(body) {
            do { values.append(try result.get()) } catch let error as DeployerError where error.code == .targetUnreachable { last = error }
        }
        try Task.checkCancellation()
        if let last, values.isEmpty { throw last }
        return values
    }

    /// On every host, even when it fails on one of them: that is thrown in the end.
    func onAll(_ body: @escaping @Sendable (DockerAPI) async throws -> Void) async throws {
        for (_, result) in await onEach(body) { try result.get() }
    }
}

/// Which hosts were away when they were last asked, so that it is said once.
private final class AwayHosts: Sendable {
    private let hosts = Mutex<Set<Int>>([])
    func began(_ host: Int) -> Bool { hosts.withLock { $0.insert(host).inserted } }
    func ended(_ host: Int) -> Bool { hosts.withLock { $0.remove(host) != nil } }
}
