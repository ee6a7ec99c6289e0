import Configuration
import Deployer
import Foundation
import SystemPackage
import Testing

@testable import slipway

struct TargetSettingsTests {
    private func read(_ yaml: String, environment: [String: String] = [:]) async throws -> [String: TargetSettings.Kind] {
        try await settings(yaml, environment: environment).kinds
    }

    private func settings(_ yaml: String, environment: [String: String] = [:]) async throws -> TargetSettings {
        try await withFolder { folder in
            let file = folder.appendingPathComponent("slipway.yaml")
            try Data(yaml.utf8).write(to: file)
            let reader = ConfigReader(providers: [
                EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: "slipway"),
                try await FileProvider<YAMLSnapshot>(filePath: FilePath(file.path)),
            ])
            return try TargetSettings.read(reader, file: file.path, environment: environment)
        }
    }

    private func hosts(_ kind: TargetSettings.Kind?) -> [String] {
        if case .docker(let docker) = kind { docker.hosts.map(\.description) } else { [] }
    }

    @Test func localIsThisMachineUnlessSaidOtherwise() async throws {
        let kinds = try await read("data: /var/lib/slipway\n")
        #expect(kinds.keys.sorted() == ["local"])
        if case .host = kinds["local"] {} else { Issue.record("local is not this machine") }
        #expect(hosts(try await read("targets: {local: {kind: docker, hosts: ['unix:///run/docker.sock']}}")["local"]) == ["unix:///run/docker.sock"])
    }

    @Test func namesComeFromFileAndEnvironment() async throws {
        let yaml = """
            targets:
              local: {kind: host}
              box:
                kind: docker
                hosts: ["unix:///run/a.sock", "unix:///run/b.sock?address=127.0.0.1"]
                registry: registry.example.org
            """
        let kinds = try await read(
            yaml,
            environment: [
                "SLIPWAY_TARGETS_SIDE_BOX_KIND": "docker",
                "SLIPWAY_TARGETS_SIDE_BOX_HOSTS": "unix:///run/c.sock,tcp://127.0.0.1:2375,ssh://deploy@10.0.0.5",
                "SLIPWAY_TARGETS_BOX_REGISTRY": "other.example.org:5000",
            ])
        #expect(kinds.keys.sorted() == ["box", "local", "side-box"])
        #expect(hosts(kinds["box"]) == ["unix:///run/a.sock", "unix:///run/b.sock?address=127.0.0.1"])
        #expect(hosts(kinds["side-box"]) == ["unix:///run/c.sock", "tcp://127.0.0.1:2375", "ssh://deploy@10.0.0.5"])
        if case .docker(let box) = kinds["box"] { #expect(box.registry == "other.example.org:5000") }
    }

    @Test func unitsAreOfThisMachine() async throws {
        #expect(try await !settings("data: /var/lib/slipway\n").units)
        #expect(try await !settings("targets: {local: {kind: host}}").units)
        #expect(try await !settings("targets: {local: {kind: host, units: false}}").units)
        #expect(try await settings("targets: {local: {kind: host, units: true}, side: {kind: host}}").units)
        let environment = ["SLIPWAY_TARGETS_LOCAL_KIND": "host", "SLIPWAY_TARGETS_LOCAL_UNITS": "true"]
        #expect(try await settings("data: /var/lib/slipway\n", environment: environment).units)
    }

    @Test(
        arguments: [
            ("targets: {local: {kind: host, units: sure}}", "slipway.yaml:1:38: targets.local: units is neither true nor false"),
            ("targets: {a: {kind: host, units: true}, b: {kind: host, units: false}}", "targets.a has units, targets.b has none"),
            ("targets: {box: {kind: docker, units: true, hosts: ['unix:///a']}}", "'units' is not a setting of the kind 'docker'"),
            ("targets: [box]", "targets is not a list of names"), ("targets: {box: docker}", "a target is a name with settings"),
            ("targets: {box: {kind: docker}}", "it has no hosts"), ("targets: {box: {kind: podman}}", "there is no kind 'podman'"),
            ("targets: {box: {hosts: [a]}}", "it has no kind"), ("targets: {Box: {kind: host}}", "cannot be called that"),
            ("targets: {box: {kind: docker, host: a}}", "slipway.yaml:1:31: targets.box: there is no setting 'host'"),
            ("targets: {box: {kind: docker, hosts: ['tcp://10.0.0.5:2375']}}", "without TLS"),
            ("targets: {box: {kind: docker, hosts: ['ssh://root@box']}}", "'box' is a name, so the IP address"),
            ("targets: {box: {kind: docker, hosts: ['ssh://-oProxyCommand=x@10.0.0.5']}}", "is not the name of a user"),
            ("targets: {box: {kind: host, hosts: ['unix:///run/a.sock']}}", "'hosts' is not a setting of the kind 'host'"),
            ("targets: {box: {kind: docker, hosts: ['unix:///a', 'unix:///a']}}", "named twice"),
            ("targets: {box: {kind: docker, hosts: ['unix:///a'], client_key: k.pem}}", "needs three files"),
            (
                "targets: {box: {kind: docker, hosts: ['unix:///a'], certificate_authority: a.pem, client_certificate: c.pem, client_key: k.pem}}",
                "/a.pem is missing"
            ),
        ])
    func mistakesAreNamed(yaml: String, message: String) async throws {
        do {
            _ = try await read(yaml)
            Issue.record("\(yaml) was accepted")
        } catch let failure as Failure {
            #expect(failure.message.contains(message), "\(failure.message)")
            #expect(!failure.hint.isEmpty && failure.status == Failure.usage)
        }
    }
}
