import ContainerRuntime
import DeliveryModel
import DockerDaemon
import Foundation
import ImageStore
import Subprocess
import SystemPackage
import Testing

@testable import Deployer

/// A folder for units, and a `systemctl` that writes down what it is told.
struct FakeSystemd: Sendable {
    let folder: FilePath
    let settings: SystemdSettings

    init(_ folder: FilePath, data: FilePath) throws {
        self.folder = folder
        var settings = SystemdSettings(program: "/usr/local/bin/slipway", data: data)
        settings.unitFolder = folder.appending("system")
        settings.systemctl = folder.appending("systemctl").string
        settings.runningFolder = folder
        self.settings = settings
        try FileManager.default.createDirectory(atPath: settings.unitFolder.string, withIntermediateDirectories: true)
        let script = """
            #!/bin/sh
            echo "$* [$(cd \(data)/units 2>/dev/null && echo *.json)]" >>\(folder)/calls
            test ! -e \(folder)/broken || { echo Access denied >&2; exit 4; }

            """
        try script.write(toFile: settings.systemctl, atomically: true, encoding: .utf8)
        chmod(settings.systemctl, 0o755)
    }

    /// What it was told since the last time; in brackets, which instances were wanted then.
    func calls() throws -> [String] {
        let file = folder.appending("calls").string
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return [] }
        try FileManager.default.removeItem(atPath: file)
        return text.split(separator: "\n").map(String.init)
    }

    func units() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: settings.unitFolder.string).sorted() }

    func text(_ unit: String) throws -> String {
        try String(contentsOfFile: settings.unitFolder.appending(unit).string, encoding: .utf8)
    }

    func breakIt(_ isBroken: Bool) throws {
        let file = folder.appending("broken").string
        if isBroken { try Data().write(to: URL(fileURLWithPath: file)) } else { try FileManager.default.removeItem(atPath: file) }
    }
}

/// Not safe, but not readable either.
let testSealing = Sealing(
    seal: { text, context in Array("\(context)|\(text)".utf8.map { $0 ^ 0x5a }) },
    open: { sealed, context in
        let text = String(decoding: sealed.map { $0 ^ 0x5a }, as: UTF8.self)
        guard text.hasPrefix("\(context)|") else { throw Broken() }
        return String(text.dropFirst(context.count + 1))
    })

/// Units of instances, with real containers; needs what ``TargetContractTests`` does for this machine.
@Suite(.serialized) struct UnitTests {
    struct Bench: Sendable {
        let systemd: FakeSystemd
        let runtime: ContainerRuntime
        let units: InstanceUnits
        let target: HostTarget
        let order: RolloutOrder
        let claim: Claim
        var kept: FilePath { InstanceUnits.folder(in: systemd.settings.data) }

        var instance: InstanceSpec { order.instances[0] }
        var unit: String { "slipway-\(instance.id).service" }
    }

    private func with(_ body: (Bench) async throws -> Void) async throws {
        try #require(geteuid() == 0, "containers need root: run the tests as root")
        let folder = FilePath("/tmp/ut-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(atPath: folder.string, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder.string) }
        var settings = RuntimeSettings()
        settings.networkName = "slipway-unit-test"
        settings.bridge = "slipunit0"
        settings.masquerade = false
        settings.subnet = "10.96.0.0/24"
        settings.stateFolder = folder.appending("state")
        settings.networkFolder = folder.appending("networks")
        let store = try ImageStore(root: folder.appending("store"))
        let image = try await TargetBench.makeImage(in: store, URL(fileURLWithPath: folder.string))
        let runtime = ContainerRuntime(root: folder.appending("containers"), settings: settings)
        let systemd = try FakeSystemd(folder.appending("systemd"), data: folder)
        let units = InstanceUnits(settings: systemd.settings, sealing: testSealing, runtime: runtime)
        let target = HostTarget(
            runtime: runtime, snapshots: Snapshots(root: folder.appending("snapshots"), store: store), units: units)
        let order = RolloutOrder(
            deployment: "d1", project: "shop", pipeline: "web", stage: "test", image: image,
            service: ServiceDefinition(command: TargetBench.serve, port: 8080, limits: ResourceLimits(memoryBytes: 64 << 20, pids: 32), replicas: 2),
            environment: ["PASSWORD": "correct horse"], host: "shop.localhost")
        let claim = order.claim
        try await target.admit(claim)
        let bench = Bench(systemd: systemd, runtime: runtime, units: units, target: target, order: order, claim: claim)
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(bench)) } catch { outcome = .failure(error) }
        for container in try await runtime.list() { try await runtime.remove(container.id) }
        _ = try? await DockerDaemon.run("/sbin/ip", ["link", "delete", settings.bridge])
        try outcome.get()
    }

    @Test func anInstanceHasAUnitAsLongAsItIsWanted() async throws {
        try await with { bench in
            let id = bench.instance.id
            let file = "\(id).json"
            #expect(try await bench.target.upkeep(of: id) == .missing)
            try await bench.target.start(bench.instance, by: bench.claim)
            #expect(try bench.systemd.calls() == ["enable \(bench.unit) [\(file)]", "start --no-block \(bench.unit) [\(file)]"])
            #expect(try bench.systemd.units() == [bench.unit])
            let text = try bench.systemd.text(bench.unit)
            #expect(text.contains("\nExecStart=/usr/local/bin/slipway instance run \(id) --data \(bench.systemd.settings.data)\n"), "\(text)")
            #expect(try await bench.target.upkeep(of: id) == .machine)
            let seen = try #require(try await bench.target.observe(deployment: "d1").first)
            #expect(seen.state == .running && seen.startedAt != nil)

            // Nothing but root reads it, and nothing of it is in the clear.
            var status = stat()
            let path = bench.kept.appending(file).string
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            let kept = try String(contentsOfFile: path, encoding: .utf8)
            #expect(!kept.contains("horse") && !kept.contains("PASSWORD") && !text.contains("horse"))
            #expect(kept.contains(try #require(seen.address)))

            // Again, as after a server that was killed: the same.
            try await bench.target.start(bench.instance, by: bench.claim)
            #expect(try await bench.target.observe(deployment: "d1") == [seen])
            _ = try bench.systemd.calls()

            // The file goes first, then the unit, then the container.
            try await bench.target.stop(instance: id, grace: .seconds(1), by: bench.claim)
            #expect(try bench.systemd.calls() == ["disable --now \(bench.unit) [*.json]", "daemon-reload [*.json]"])
            #expect(try bench.systemd.units().isEmpty)
            #expect(try await bench.target.observe(deployment: "d1").isEmpty)
            try await bench.target.stop(instance: id, grace: .seconds(1), by: bench.claim)
            #expect(try bench.systemd.calls().isEmpty)
        }
    }

    @Test func aUnitBeginsWhatHasEndedAtTheSameAddress() async throws {
        try await with { bench in
            let id = bench.instance.id
            try await bench.target.start(bench.instance, by: bench.claim)
            let first = try #require(try await bench.target.find(instance: id))
            let run = KeptInstanceRun(id, data: bench.systemd.settings.data, sealing: testSealing)
            try await bench.runtime.signal(id, SIGKILL)
            _ = try await bench.runtime.waitForExit(id)
            async let end = run.run()
            #expect(try await eventually { try await bench.target.find(instance: id)?.state == .running })
            let second = try #require(try await bench.target.find(instance: id))
            #expect(second.address == first.address && second.startedAt != first.startedAt)
            let pid = try #require(try await bench.runtime.observe(id)?.pid)
            let environment = try String(contentsOfFile: "/proc/\(pid)/environ", encoding: .utf8)
            #expect(environment.contains("PASSWORD=correct horse"))
            try await bench.runtime.signal(id, SIGKILL)
            #expect(try await end == .exited(.init(code: 137)))
            // Also when somebody took the container away, as a restart of the machine does.
            try await bench.runtime.remove(id)
            async let last = run.run()
            #expect(try await eventually { try await bench.target.find(instance: id)?.state == .running })
            #expect(try await bench.target.find(instance: id)?.address == first.address)
            // Retired meanwhile, by its deployment, and the run is over.
            try await bench.target.stop(deployment: "d1", grace: .seconds(1), by: bench.claim)
            #expect(try await last == .notWanted)
            #expect(try await run.run() == .notWanted)
            #expect(try await bench.runtime.list().isEmpty)
        }
    }

    @Test func whatHasNoContainerIsRetiredToo() async throws {
        try await with { bench in
            let id = bench.instance.id
            try await bench.target.start(bench.instance, by: bench.claim)
            try await bench.runtime.remove(id)
            #expect(try await bench.target.deployments() == ["d1"])
            try await bench.target.stop(deployment: "d1", grace: .seconds(1), by: bench.claim)
            #expect(try await bench.target.deployments().isEmpty)
            #expect(try bench.systemd.units().isEmpty)
        }
    }

    @Test func whoWasTakenOverChangesNoUnit() async throws {
        try await with { bench in
            try await bench.target.start(bench.instance, by: bench.claim)
            let next = Claim(deployment: "d1", epoch: bench.claim.epoch + 1)
            try await bench.target.admit(next)
            _ = try bench.systemd.calls()
            for body in [
                { try await bench.target.stop(instance: bench.instance.id, grace: .zero, by: bench.claim) },
                { try await bench.target.stop(deployment: "d1", grace: .zero, by: bench.claim) },
                { try await bench.target.start(bench.order.instances[1], by: bench.claim) },
            ] as [@Sendable () async throws -> Void] {
                do {
                    try await body()
                    Issue.record("it was let do it")
                } catch let error as DeployerError { #expect(error.code == .staleHolder) }
            }
            #expect(try bench.systemd.calls().isEmpty)
            #expect(try await bench.target.upkeep(of: bench.instance.id) == .machine)
            try await bench.target.stop(deployment: "d1", grace: .seconds(1), by: next)
            #expect(try bench.systemd.units().isEmpty)
        }
    }

    @Test func jobsHaveNoUnit() async throws {
        try await with { bench in
            let job = InstanceSpec(job: ServiceJob(name: "migrate", command: ["/bin/busybox", "true"]), owner: "d1", order: bench.order)
            try await bench.target.start(job, by: bench.claim)
            #expect(try await eventually { try await bench.target.find(instance: job.id)?.state == .exited(code: 0, outOfMemory: false) })
            #expect(try bench.systemd.units().isEmpty && bench.systemd.calls().isEmpty)
        }
    }

    /// What systemd refuses is said, and done the next time.
    @Test func aSystemdThatRefusesIsTold() async throws {
        try await with { bench in
            try bench.systemd.breakIt(true)
            do {
                try await bench.target.start(bench.instance, by: bench.claim)
                Issue.record("nobody noticed")
            } catch let error as DeployerError {
                #expect(error.code == .unitFailed)
                #expect(error.message == "systemctl enable \(bench.unit): Access denied")
            }
            #expect(try await bench.target.upkeep(of: bench.instance.id) == .missing)
            try bench.systemd.breakIt(false)
            try await bench.target.start(bench.instance, by: bench.claim)
            #expect(try await bench.target.upkeep(of: bench.instance.id) == .machine)
            try bench.systemd.breakIt(true)
            await #expect(throws: DeployerError.self) { try await bench.target.stop(deployment: "d1", grace: .zero, by: bench.claim) }
            // Its unit is still there, and starts nothing.
            #expect(try bench.systemd.units() == [bench.unit])
            let run = KeptInstanceRun(bench.instance.id, data: bench.systemd.settings.data, sealing: testSealing)
            #expect(try await run.run() == .notWanted)
            try bench.systemd.breakIt(false)
            try await bench.target.stop(deployment: "d1", grace: .zero, by: bench.claim)
            #expect(try bench.systemd.units().isEmpty)
        }
    }

    @Test func aServerBeginsWithWhatIsWantedAndEndsWithNothing() async throws {
        try await with { bench in
            let router = KeptRouter(kind: "nginx", folder: "/tmp/router", settings: RouterSettings(listenPort: 8000))
            try await bench.target.start(bench.instance, by: bench.claim)
            try await bench.target.start(bench.order.instances[1], by: bench.claim)
            // One was on its way out when the server was killed; one is of another data directory.
            try FileManager.default.removeItem(atPath: bench.kept.appending("\(bench.instance.id).json").string)
            let foreign = bench.systemd.settings.unitFolder.appending("slipway-shop-x-0.service").string
            try "[Service]\nExecStart=/bin/true\n".write(toFile: foreign, atomically: true, encoding: .utf8)
            _ = try bench.systemd.calls()
            try await bench.units.begin(router: router)
            let second = "slipway-\(bench.order.instances[1].id).service"
            #expect(try bench.systemd.units() == ["slipway-router.service", second, "slipway-shop-x-0.service"].sorted())
            #expect(
                try bench.systemd.calls().map { $0.prefix { $0 != "[" } } == [
                    "disable --now \(bench.unit) ", "daemon-reload ", "enable slipway-router.service ", "start --no-block slipway-router.service ",
                ])
            #expect(try KeptRouter.load(from: bench.kept) == router)
            // The setting is taken back: instances go on, and nothing of systemd's is left.
            try await bench.units.end()
            #expect(try bench.systemd.units() == ["slipway-shop-x-0.service"])
            #expect(access(bench.kept.string, F_OK) != 0)
            #expect(try await bench.target.observe(deployment: "d1").map(\.state) == [.running, .running])
            _ = try bench.systemd.calls()
            try await bench.units.end()
            #expect(try bench.systemd.calls().isEmpty)
        }
    }

    @Test func aUnitOfAnotherDataDirectoryIsLeftAlone() async throws {
        try await with { bench in
            let other = bench.systemd.settings.unitFolder.appending("slipway-router.service").string
            try "# Made by slipway for /elsewhere; changes are lost.\n".write(toFile: other, atomically: true, encoding: .utf8)
            do {
                try await bench.units.begin(router: KeptRouter(kind: "nginx", folder: "/tmp/router", settings: RouterSettings(listenPort: 8000)))
                Issue.record("it was taken")
            } catch let error as DeployerError {
                #expect(error.code == .unitFailed && error.message.contains("slipway-router.service is not of the data directory"))
            }
            try await bench.units.begin(router: nil)
            #expect(try bench.systemd.text("slipway-router.service").contains("/elsewhere"))
        }
    }
}

struct UnitTextTests {
    @Test func withoutSystemdItSaysWhatToDo() async throws {
        try await withTemporaryFolder { folder in
            let systemd = try FakeSystemd(folder, data: folder)
            try await InstanceUnits.check(systemd.settings)
            var settings = systemd.settings
            settings.runningFolder = folder.appending("none")
            do {
                try await InstanceUnits.check(settings)
                Issue.record("there is no systemd")
            } catch let error as DeployerError {
                #expect(error.message == "systemd does not run on this machine: there is no \(folder)/none")
                #expect(error.hint.contains("leave 'units' of the target out"))
            }
            settings = systemd.settings
            settings.systemctl = "systemctl-that-is-not-there"
            do {
                try await InstanceUnits.check(settings)
                Issue.record("there is no systemctl")
            } catch let error as DeployerError { #expect(error.code == .unitFailed && error.message.contains("systemctl-that-is-not-there")) }
        }
    }

    @Test func wordsAreQuoted() {
        func quoted(_ word: String) -> String { SystemdUnit.quoted(word, expandsVariables: true) }
        #expect(quoted("/usr/local/bin/slipway") == "/usr/local/bin/slipway")
        #expect(quoted("/srv/my data") == "\"/srv/my data\"")
        #expect(quoted("50%") == "50%%")
        #expect(quoted("$HOME") == "$$HOME")
        #expect(SystemdUnit.quoted("$HOME", expandsVariables: false) == "\"$HOME\"")
        #expect(quoted(#"a"b\c"#) == #""a\"b\\c""#)
        #expect(quoted("") == "\"\"")
    }

    static let analyze = "/usr/bin/systemd-analyze"

    /// As systemd itself reads them.
    @Test(
        .enabled(if: access(analyze, X_OK) == 0, "systemd-analyze is not here, so nobody reads the units: apt-get install systemd"),
        arguments: ["data", "my data", "50%"])
    func systemdUnderstandsUnits(name: String) async throws {
        try await withTemporaryFolder { folder in
            let data = folder.appending(name)
            let program = data.appending("slipway")
            try FileManager.default.createDirectory(atPath: data.string, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: "/bin/true", toPath: program.string)
            for (subject, arguments) in [("router", ["router", "run"]), ("shop-prod-1a2b3c4d-0", ["instance", "run", "shop-prod-1a2b3c4d-0"])] {
                let unit = SystemdUnit(
                    subject: subject, description: "The instance \(subject) of slipway",
                    command: [program.string] + arguments + ["--data", data.string], data: data)
                let file = folder.appending(SystemdUnit.name(of: subject))
                try unit.text.write(toFile: file.string, atomically: true, encoding: .utf8)
                let result = try await Subprocess.run(
                    .path(FilePath(Self.analyze)), arguments: ["verify", "--man=no", file.string], output: .string(limit: 1 << 16),
                    error: .string(limit: 1 << 16))
                let words = (result.standardOutput + result.standardError).split(separator: "\n").filter { $0.contains(subject) }
                #expect(result.terminationStatus.isSuccess, "\(result.standardError)")
                #expect(words.isEmpty, "\(words)")
            }
            // It does read them: a mistake is found.
            let wrong = folder.appending("slipway-wrong.service")
            try "[Service]\nExecStart=/no/such/program\nRestart=perhaps\n".write(toFile: wrong.string, atomically: true, encoding: .utf8)
            let result = try await Subprocess.run(
                .path(FilePath(Self.analyze)), arguments: ["verify", "--man=no", wrong.string], output: .discarded, error: .string(limit: 1 << 16))
            #expect(!result.terminationStatus.isSuccess && result.standardError.contains("slipway-wrong.service"))
        }
    }
}
