import ArgumentParser
import AsyncHTTPClient
import ContainerRuntime
import Deployer
import Foundation
import Logging
import PipelineEngine
import StateStore
import SystemPackage

struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check what the server needs on this machine, and say how to get it.",
        discussion: "Example: slipway doctor --data /var/lib/slipway")
    @Option(help: "The configuration file, slipway.yaml.") var config: String?
    @Option(help: "The data directory.") var data: String?
    @Flag(help: "Print one JSON document.") var json = false

    private struct Row: Encodable {
        var name: String
        var ok: Bool
        var message: String
        var hint: String?
    }

    func run() async throws {
        let settings = try await ServerSettings.read(file: config, data: data, listen: nil, routerPort: nil)
        var runtimeSettings = RuntimeSettings()
        runtimeSettings.runtime = settings.runtime
        let runtime = ContainerRuntime(root: settings.data.appending("containers"), settings: runtimeSettings)
        var rows = await runtime.check().map { Row(name: $0.name, ok: $0.ok, message: $0.message, hint: $0.hint) }
        rows.append(Self.routerRow(settings))
        rows.append(Self.dataRow(settings))
        if settings.targets.units { rows.append(await Self.unitsRow(settings)) }
        if case .postgres = settings.store { rows.append(await Self.storeRow(settings.store)) }
        rows += try await Self.targetRows(settings.targets)
        if json {
            try printJSON(rows)
        } else {
            for row in rows {
                print("\(row.ok ? "ok    " : "FAILED")  \(row.name): \(row.message)")
                if !row.ok, let hint = row.hint { print("        \(hint)") }
            }
        }
        if rows.contains(where: { !$0.ok }) { throw ExitCode(Failure.failed) }
    }

    /// One for each host of a target that is not this machine itself, which the rows before are about.
    private static func targetRows(_ targets: TargetSettings) async throws -> [Row] {
        var rows: [Row] = []
        let client = DockerTarget.makeClient()
        let sockets = FileManager.default.temporaryDirectory.appendingPathComponent("slipway-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: sockets) }
        for (name, kind) in targets.kinds.sorted(by: { $0.key < $1.key }) {
            guard case .docker(let docker) = kind else { continue }
            let target = DockerTarget(
                settings: .init(hosts: docker.hosts, tls: docker.tls, owner: "doctor", sockets: FilePath(sockets.path)), client: client,
                logger: Logger(label: "doctor", factory: { _ in SwiftLogNoOpLogHandler() })
            ) { _, _ in DockerImageSource(name: "") }
            let found = await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await target.run() }
                let found = await target.check()
                group.cancelAll()
                return found
            }
            for (host, result) in found {
                do {
                    rows.append(Row(name: "target \(name)", ok: true, message: "\(host): \(try result.get())"))
                } catch let error as DeployerError {
                    rows.append(Row(name: "target \(name)", ok: false, message: error.message, hint: error.hint))
                } catch {
                    rows.append(Row(name: "target \(name)", ok: false, message: "\(host): \(error)", hint: "check targets.\(name).hosts"))
                }
            }
        }
        try await client.shutdown()
        return rows
    }

    private static func routerRow(_ settings: ServerSettings) -> Row {
        let name = "router"
        guard let (program, package) = settings.routerProgram else {
            return Row(name: name, ok: true, message: "none: no host of a service is reachable")
        }
        guard let path = find(program) else {
            return Row(
                name: name, ok: false, message: "\(program) not found",
                hint: "apt-get install \(package), or set router.\(settings.routerKind)")
        }
        return Row(name: name, ok: true, message: "\(settings.routerKind), \(path)")
    }

    private static func unitsRow(_ settings: ServerSettings) async -> Row {
        do {
            try await InstanceUnits.check(settings.systemd)
            return Row(name: "systemd", ok: true, message: "runs; units go to \(settings.systemd.unitFolder)")
        } catch let error as DeployerError {
            return Row(name: "systemd", ok: false, message: error.message, hint: error.hint)
        } catch {
            return Row(name: "systemd", ok: false, message: "\(error)", hint: "leave 'units' of the target out")
        }
    }

    private static func storeRow(_ location: StoreLocation) async -> Row {
        do {
            try await location.open(connections: 1).ping()
            return Row(name: "store", ok: true, message: "\(location)")
        } catch let error as StateError {
            return Row(name: "store", ok: false, message: error.message, hint: error.hint)
        } catch let failure as Failure {
            return Row(name: "store", ok: false, message: failure.message, hint: failure.hint)
        } catch {
            return Row(name: "store", ok: false, message: "\(error)", hint: "check the store's URL")
        }
    }

    private static func dataRow(_ settings: ServerSettings) -> Row {
        let path = settings.data
        var existing = path
        while !FileManager.default.fileExists(atPath: existing.string), existing.removeLastComponent() {}
        guard FileManager.default.isWritableFile(atPath: existing.string) else {
            return Row(name: "data directory", ok: false, message: "\(path) cannot be written", hint: "choose another with --data")
        }
        if let shortage = DiskSpace(folder: existing, reserve: settings.diskReserve).shortage() {
            return Row(name: "data directory", ok: false, message: shortage.problem, hint: shortage.hint)
        }
        return Row(name: "data directory", ok: true, message: "\(path) can be written and has room")
    }

    /// Where a program is, by its path or by PATH and the administrator's folders.
    static func find(_ program: String) -> String? {
        if program.contains("/") { return FileManager.default.isExecutableFile(atPath: program) ? program : nil }
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return (folders + ["/usr/local/sbin", "/usr/sbin", "/sbin"]).map { "\($0)/\(program)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
