public import ContainerRuntime
public import DeliveryModel
public import SystemPackage

/// For machines that send requests to instances in another way: routes are remembered and fenced as with any router, and count as in
/// force at once, but no host is reachable.
public struct NoRouter: DaemonRouter {
    public let daemon: RouterDaemon

    /// - Parameter folder: made when missing; also that of a router which was there before, and ends.
    public init(folder: FilePath, probe: any HTTPProbe) throws {
        daemon = try RouterDaemon(folder: folder, program: NoProgram(), probe: probe, format: HAProxyTrafficLine())
    }

    public func start() async throws {
        try await daemon.prepare()
        _ = try await daemon.retireOthers()
    }

    public func confirm(_ generation: RouterGeneration) async throws {}

    public func drained(before generation: RouterGeneration) async throws -> Bool { true }

    public func check() async -> DoctorFinding {
        DoctorFinding(name: "router", ok: true, message: "none: no host of a service is reachable")
    }

    public func traffic(key: String, since mark: TrafficMark) async throws -> [VersionTraffic] { [] }
}

private struct NoProgram: RouterProgram {
    let configuration = "no-router.conf"
    let listenAddress = "127.0.0.1"
    let listenPort = 1
    let confirmTimeout = Duration.zero
    let handover = Duration.zero
    let folders: [(name: String, mode: UInt32)] = []

    func render(_ table: RouteTable) -> String { "# Generation \(table.generation): nothing routes.\n" }
    func test(_ file: String) async throws {}
    func master() -> Int32? { nil }
    func workers(of master: Int32) -> [(pid: Int32, leaving: Bool)] { [] }
    func start() async throws {}
    func askOver(generation: Int) async {}
    func reload(_ master: Int32) throws {}
    func quit(_ master: Int32) throws {}
    func rotateLogs(_ log: TrafficCounts) async throws {}
}
