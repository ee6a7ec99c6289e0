import BlockingQueue
public import ContainerRuntime
public import SystemPackage

/// A router made of an nginx of our own; see ``RouterDaemon``.
public struct NginxRouter: DaemonRouter {
    public let daemon: RouterDaemon
    let settings: NginxSettings
    let process: NginxProcess

    var folder: FilePath { daemon.folder }

    /// - Parameters:
    ///   - folder: made when missing; nothing else may live there. Use one router value per process and folder.
    ///   - probe: asks the router which generation answers.
    public init(folder: FilePath, settings: NginxSettings, probe: any HTTPProbe) throws {
        self.settings = settings
        process = NginxProcess(folder: folder, settings: settings)
        daemon = try RouterDaemon(folder: folder, program: process, probe: probe, format: NginxTrafficLine())
    }

    public func check() async -> DoctorFinding { await check(package: "nginx-light") { try await process.version() } }
}
