import ContainerRuntime
import DeliveryModel
import Foundation
import FreePort
import OCIModel
import Subprocess
import SystemPackage
import Testing

@testable import Deployer

/// The whole way with real containers and a real router; needs root, runc, conmon, containernetworking-plugins,
/// nginx-light and busybox-static.
@Suite(.serialized) struct HostRolloutTests {
    /// An image whose service answers with `text` on port 8080.
    func image(_ text: String, in folder: FilePath) throws -> HostTarget.Image {
        let layer = folder.appending("layer-\(text)")
        let files = FileManager.default
        for name in ["bin", "www", "tmp", "proc", "sys", "dev", "etc"] {
            try files.createDirectory(atPath: layer.appending(name).string, withIntermediateDirectories: true)
        }
        try files.copyItem(atPath: "/bin/busybox", toPath: layer.appending("bin/busybox").string)
        try text.write(toFile: layer.appending("www/index.html").string, atomically: true, encoding: .utf8)
        let json = """
            {"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},
             "config":{"Entrypoint":["/bin/busybox"],"Cmd":["false"],"Env":["A=image","B=image"],"User":"65534"}}
            """
        return HostTarget.Image(config: try OCIJSON.decode(ImageConfig.self, from: Array(json.utf8)), layers: [layer])
    }

    func order(_ name: String, previous: String?, command: [String]) -> RolloutOrder {
        RolloutOrder(
            deployment: name, project: "shop", pipeline: "web", stage: "test", image: Digest.sha256(Array(name.utf8)),
            service: ServiceDefinition(
                command: command, port: 8080, health: HealthCheck(path: "/index.html", interval: 0.1, grace: 60),
                limits: ResourceLimits(memoryBytes: 64 << 20, pids: 32), replicas: 2),
            environment: ["B": "stage"], host: "shop.localhost", drainSeconds: 5, previous: previous)
    }

    @Test func blueGreenWithoutALostRequest() async throws {
        try await withTemporaryFolder { folder in
            var settings = RuntimeSettings()
            settings.networkName = "slipway-deployer-test"
            settings.bridge = "slipdeploy0"
            settings.masquerade = false
            settings.subnet = "10.94.0.0/24"
            settings.stateFolder = folder.appending("state")
            settings.networkFolder = folder.appending("networks")
            let runtime = ContainerRuntime(root: folder.appending("containers"), settings: settings)
            let images = [
                Digest.sha256(Array("d1".utf8)): try image("one", in: folder),
                Digest.sha256(Array("d2".utf8)): try image("two", in: folder),
                Digest.sha256(Array("d3".utf8)): try image("three", in: folder),
            ]
            let target = HostTarget(runtime: runtime) { digest in
                guard let image = images[digest] else { throw Broken() }
                return image
            }
            let port = try freePort()
            let router = try NginxRouter(
                folder: folder.appending("router"), settings: NginxSettings(listenPort: port), probe: testProbe)
            let rollout = Rollout(
                targets: ["local": target], router: router, probe: testProbe, now: { Date().timeIntervalSince1970 }, stopGrace: .seconds(1))
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await scenario(rollout, target, runtime, port)) } catch { outcome = .failure(error) }
            for name in ["d1", "d2", "d3"] { try await target.stop(deployment: name, grace: .zero, by: nil) }
            try await router.shutdown()
            _ = try await eventually { router.process.master() == nil }
            _ = try await Subprocess.run(
                .name("ip"), arguments: ["link", "delete", settings.bridge], output: .discarded)
            try outcome.get()
        }
    }

    private func scenario(_ rollout: Rollout, _ target: HostTarget, _ runtime: ContainerRuntime, _ port: Int) async throws {
        let serve = ["httpd", "-f", "-p", "8080", "-h", "/www"]
        let first = order("d1", previous: nil, command: serve)
        #expect(try await carryOut(rollout, first) == .succeeded)
        #expect(try await answer(port) == "one")
        let pids = try await runtime.list().compactMap(\.pid)
        let pid = try #require(pids.first)
        let environment = try String(contentsOfFile: "/proc/\(pid)/environ", encoding: .utf8)
        #expect(environment.contains("A=image") && environment.contains("B=stage") && !environment.contains("B=image"))
        // Started twice, there once.
        try await target.start(first.instances[0], by: first.claim)
        #expect(try await target.observe(deployment: "d1").count == 2)

        async let load = RouterTests().load(port, keepAlive: true, seconds: 12, path: "/index.html")
        let second = order("d2", previous: "d1", command: serve)
        #expect(try await carryOut(rollout, second, previous: first) == .succeeded)
        #expect(try await answer(port) == "two")
        #expect(try await target.observe(deployment: "d1").isEmpty)
        let result = try await load
        #expect(result.failed == 0, "\(result.first)")
        #expect(result.names == 2)

        // A release that ends at once: the old one keeps serving, its last words are told.
        let bad = order("d3", previous: "d2", command: ["sh", "-c", "echo cannot read the price list >&2; exit 7"])
        try await rollout.admit(bad.claim, on: ["local"])
        var progress = RolloutProgress.begun(bad, previous: second)
        while progress.phase != .warming { _ = try await rollout.step(&progress, bad, previous: second) }
        let outcome = try await rollout.step(&progress, bad, previous: second)
        #expect(outcome.message.hasSuffix("exited with code 7"))
        #expect(outcome.lastLogLines == ["cannot read the price list"])
        _ = try await rollout.step(&progress, bad, previous: second)
        #expect(progress.phase == .reverted)
        #expect(try await answer(port) == "two")
        #expect(try await target.observe(deployment: "d3").isEmpty)
    }

    private func carryOut(_ rollout: Rollout, _ order: RolloutOrder, previous: RolloutOrder? = nil) async throws -> RolloutPhase {
        try await rollout.admit(order.claim, on: ["local"])
        var progress = RolloutProgress.begun(order, previous: previous)
        while !progress.phase.isTerminal { _ = try await rollout.step(&progress, order, previous: previous) }
        #expect(progress.ending == nil)
        return progress.phase
    }

    private func answer(_ port: Int) async throws -> String {
        let answer = try await testProbe.get(
            ProbeQuestion(
                address: "127.0.0.1", port: port, path: "/index.html", host: "shop.localhost", timeout: .seconds(60)))
        return String(decoding: answer.body, as: UTF8.self)
    }
}
