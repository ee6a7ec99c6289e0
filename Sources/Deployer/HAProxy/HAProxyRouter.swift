import BlockingQueue
public import ContainerRuntime
public import SystemPackage

/// A router made of an haproxy of our own; see ``RouterDaemon``. Weights change without a reload.
public struct HAProxyRouter: DaemonRouter {
    public let daemon: RouterDaemon
    let process: HAProxyProcess

    /// - Parameters:
    ///   - folder: made when missing; nothing else may live there, except what a router of another kind left. Use one router value per
    ///     process and folder.
    ///   - settings: `program` is haproxy's.
    ///   - probe: asks the router which generation answers.
    public init(folder: FilePath, settings: RouterSettings, probe: any HTTPProbe) throws {
        process = HAProxyProcess(folder: folder, settings: settings, queue: BlockingQueue(label: "haproxy", width: 1))
        daemon = try RouterDaemon(folder: folder, program: process, probe: probe, format: HAProxyTrafficLine())
    }

    public func check() async -> DoctorFinding { await check(package: "haproxy") { try await process.version() } }
}
