import ContainerRuntime
import DeliveryModel
import Deployer
import Foundation
import FreePort
import OCIModel
import SystemPackage
import Testing

@testable import slipway

/// What systemd would do, done by hand: the commands of units are called as child processes, and called again when they fail. Needs root,
/// runc, conmon, containernetworking-plugins, nginx-light and busybox-static.
@Suite(.serialized) struct UnitTests {
    /// A data directory that a server has locked, without a store, and what a server would deliver to.
    private struct Bench {
        let data: DataFolder
        let units: InstanceUnits
        let target: HostTarget
        let runtime: ContainerRuntime
        let systemd: SystemdSettings

        init(_ folder: URL) throws {
            let path = FilePath(folder.path)
            data = try DataFolder(path.appending("data"))
            var settings = RuntimeSettings()
            settings.networkName = "slipway-units"
            settings.bridge = "slipunits0"
            settings.masquerade = false
            settings.subnet = "10.97.0.0/24"
            settings.stateFolder = path.appending("state")
            settings.networkFolder = path.appending("networks")
            runtime = ContainerRuntime(root: data.containers, settings: settings)
            var systemd = SystemdSettings(program: FilePath(ServerFixture.binary), data: data.path)
            systemd.unitFolder = path.appending("system")
            systemd.systemctl = path.appending("systemctl").string
            self.systemd = systemd
            let files = FileManager.default
            try files.createDirectory(atPath: systemd.unitFolder.string, withIntermediateDirectories: true)
            try "#!/bin/sh\necho \"$*\" >>\(path)/calls\n".write(toFile: systemd.systemctl, atomically: true, encoding: .utf8)
            chmod(systemd.systemctl, 0o755)
            units = InstanceUnits(settings: systemd, sealing: Sealing(try data.secrets()), runtime: runtime)
            let layer = path.appending("layer")
            for name in ["bin", "www", "tmp", "run", "proc", "sys", "dev", "etc"] {
                try files.createDirectory(atPath: layer.appending(name).string, withIntermediateDirectories: true)
            }
            try files.copyItem(atPath: "/bin/busybox", toPath: layer.appending("bin/busybox").string)
            try files.createSymbolicLink(atPath: layer.appending("bin/sh").string, withDestinationPath: "busybox")
            let json = #"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{"Entrypoint":["/bin/busybox"]}}"#
            let image = HostTarget.Image(config: try OCIJSON.decode(ImageConfig.self, from: Array(json.utf8)), layers: [layer])
            target = HostTarget(runtime: runtime, units: units) { _ in image }
        }

        /// The words of a unit's ExecStart; nothing in them is quoted here.
        func words(of unit: String) throws -> [String] {
            let text = try String(contentsOfFile: systemd.unitFolder.appending(unit).string, encoding: .utf8)
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("ExecStart=") })
            return line.dropFirst("ExecStart=".count).split(separator: " ").map(String.init)
        }

        func call(_ unit: String) throws -> Process {
            let words = try words(of: unit)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: words[0])
            process.arguments = Array(words.dropFirst())
            // As systemd does: next to nothing.
            process.environment = ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            return process
        }

        func end(_ process: Process) async throws -> Int32 {
            try await until("the command ends") { !process.isRunning }
            return process.terminationStatus
        }

        func close(_ settings: RuntimeSettings) async throws {
            for container in try await runtime.list() { try await runtime.remove(container.id) }
            _ = try await command("/usr/sbin/ip", ["link", "delete", settings.bridge])
        }
    }

    private func with(_ body: (Bench) async throws -> Void) async throws {
        try #require(geteuid() == 0, "containers need root: run the tests as root")
        try await withFolder { folder in
            let bench = try Bench(folder)
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(bench)) } catch { outcome = .failure(error) }
            try await bench.close(bench.runtime.settings)
            let left = Leftovers(folder)
            #expect(left.isEmpty, "left behind: \(left)")
            left.remove()
            try outcome.get()
        }
    }

    @Test func anInstanceComesBackWithoutAServerUntilItIsRetired() async throws {
        try await with { bench in
            let order = RolloutOrder(
                deployment: "d1", project: "shop", pipeline: "web", stage: "prod", image: Digest.sha256([]),
                service: ServiceDefinition(
                    command: ["sh", "-c", "trap 'exit 0' TERM; echo $PASSWORD >/tmp/index.html; /bin/busybox httpd -f -p 8080 -h /tmp & wait"],
                    port: 8080, replicas: 1),
                environment: ["PASSWORD": "correct-horse"], host: "shop.localhost")
            let instance = InstanceSpec(order: order, replica: 0)
            let unit = "slipway-\(instance.id).service"
            try await bench.target.admit(order.claim)
            try await bench.target.start(instance, by: order.claim)
            let address = try #require(try await bench.target.find(instance: instance.id)?.address)
            func answers() async throws -> Bool {
                let answer = try await http("GET", "http://\(address):8080/index.html")
                return answer.status == 200 && answer.body.contains("correct-horse")
            }
            try await until("the instance answers") { try await answers() }
            for name in try FileManager.default.subpathsOfDirectory(atPath: bench.data.path.appending("units").string) {
                #expect(!text(URL(fileURLWithPath: bench.data.path.appending("units").string), name).contains("correct-horse"))
            }

            // It ends, and the command says so. Killed before the command has found it, it is begun anew, and killed again.
            let first = try bench.call(unit)
            try await until("the command ends with the instance") {
                // Between two beginnings it is not there.
                try? await bench.runtime.signal(instance.id, SIGKILL)
                return !first.isRunning
            }
            #expect(first.terminationStatus == 137)
            #expect(try await bench.target.find(instance: instance.id)?.state == .exited(code: 137, outOfMemory: false))

            // As systemd does then: the same instance, at the same address.
            let second = try bench.call(unit)
            try await until("the instance answers again") { try await answers() }
            #expect(try await bench.target.find(instance: instance.id)?.address == address)

            // A command that is killed is no harm to it.
            let pid = try await bench.runtime.observe(instance.id)?.pid
            kill(second.processIdentifier, SIGKILL)
            _ = try await bench.end(second)
            #expect(try await bench.runtime.observe(instance.id)?.pid == pid)

            // systemctl stop: the instance ends in order, which is no failure.
            let third = try bench.call(unit)
            try await until("the command takes SIGTERM") { takes(SIGTERM, third.processIdentifier) }
            kill(third.processIdentifier, SIGTERM)
            #expect(try await bench.end(third) == 0)
            #expect(third.terminationReason == .exit)
            #expect(try await bench.target.find(instance: instance.id)?.state == .exited(code: 0, outOfMemory: false))

            // Retired while its command runs: that ends with 0, and revives nothing, now or later.
            let fourth = try bench.call(unit)
            try await until("the instance answers once more") { try await answers() }
            let words = try bench.words(of: unit)
            try await bench.target.stop(deployment: "d1", grace: .seconds(2), by: order.claim)
            #expect(try await bench.end(fourth) == 0)
            #expect(try await command(words[0], Array(words.dropFirst())).status == 0)
            #expect(try await bench.runtime.list().isEmpty)
            #expect(!FileManager.default.fileExists(atPath: bench.systemd.unitFolder.appending(unit).string))
        }
    }

    @Test func theRouterComesBackWithoutAServer() async throws {
        try await with { bench in
            let port = try freePort()
            let folder = bench.data.router
            let kept = KeptRouter(kind: "nginx", folder: folder, settings: RouterSettings(listenPort: port))
            try await bench.units.begin(router: kept)
            func master() -> Int32? {
                Int32(text(URL(fileURLWithPath: folder.string), "nginx.pid").trimmingCharacters(in: .whitespacesAndNewlines))
            }
            func listens() async throws -> Bool { try await http("GET", "http://127.0.0.1:\(port)/").status > 0 }
            let first = try bench.call("slipway-router.service")
            try await until("the router listens") { try await listens() }
            kill(try #require(master()), SIGTERM)
            #expect(try await bench.end(first) == 1)
            #expect(try await !listens())
            let second = try bench.call("slipway-router.service")
            try await until("the router listens again") { try await listens() }
            // The server takes it back: the router goes on.
            try await bench.units.end()
            #expect(try await bench.end(second) == 0)
            #expect(try await listens())
            kill(try #require(master()), SIGTERM)
            try await until("the router ends") { try await !listens() }
        }
    }

    @Test(.enabled(if: access("/run/systemd/system", F_OK) != 0, "systemd runs here"))
    func aServerWithoutSystemdSaysWhatToDo() async throws {
        try await withFolder { folder in
            let file = folder.appendingPathComponent("slipway.yaml")
            try Data("targets: {local: {kind: host, units: true}}\n".utf8).write(to: file)
            let data = folder.appendingPathComponent("data").path
            let outcome = try await command(
                ServerFixture.binary, ["serve", "--config", file.path, "--data", data, "--listen", "127.0.0.1:\(try freePort())"])
            #expect(outcome.status == 1)
            #expect(outcome.errors.contains("slipway: systemd does not run on this machine"), "\(outcome.errors)")
            #expect(outcome.errors.contains("leave 'units' of the target out"))
            let doctor = try await command(ServerFixture.binary, ["doctor", "--config", file.path, "--data", data])
            #expect(doctor.output.contains("FAILED  systemd: "))
        }
    }

    @Test func whoCallsItWithoutADataDirectoryIsTold() async throws {
        try await withFolder { folder in
            let outcome = try await command(ServerFixture.binary, ["instance", "run", "shop-prod-1a2b3c4d-0", "--data", folder.path])
            #expect(outcome.status == 1 && outcome.errors.contains("secrets.key is missing"), "\(outcome.errors)")
        }
    }
}

/// Whether a process handles a signal: proc(5), `SigCgt`.
private func takes(_ signal: Int32, _ pid: Int32) -> Bool {
    let status = text(URL(fileURLWithPath: "/proc/\(pid)"), "status")
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("SigCgt:") }),
        let mask = UInt64(line.dropFirst("SigCgt:".count).filter { !$0.isWhitespace }, radix: 16)
    else { return false }
    return mask & (1 << (UInt64(signal) - 1)) != 0
}
