import ContainerRuntime
import Foundation
import Glibc
import SystemPackage
import Testing

import struct ContainerRuntime.ExitStatus

@Suite(.serialized) struct RunTests {
    @Test func exitCodeEnvironmentFolderAndName() async throws {
        try await Machine.with { machine async throws in
            var spec = machine.spec("step-1", "echo $GREETING; pwd; hostname; exit 7")
            spec.environment = ["GREETING=hello world"]
            spec.workingDirectory = "/some/where"
            spec.hostname = "builder\n1"
            spec.labels = ["run": "12"]
            let (status, output) = try await machine.run(spec)
            #expect(status == ExitStatus(code: 7))
            #expect(output == ["hello world", "/some/where", "builder-1"])
            #expect(try await machine.runtime.observe("step-1")?.labels == ["run": "12"])
            // Secrets come by the environment: nothing on the disk tells them.
            let folder = machine.folder.appending("containers/step-1").string
            for case let file as String in try #require(FileManager.default.enumerator(atPath: folder)) where file != "log" {
                #expect(!text("\(folder)/\(file)").contains("hello world"))
            }
        }
    }

    @Test func layersAndMounts() async throws {
        try await Machine.with { machine async throws in
            let manager = FileManager.default
            // 150 layers: their paths together are longer than a page of mount options.
            var layers = [machine.layer]
            for number in 0..<150 {
                let layer = machine.folder.appending("layers/number-\(number)-with-a-name-of-some-length").string
                try manager.createDirectory(atPath: layer, withIntermediateDirectories: true)
                try Data("layer \(number)".utf8).write(to: URL(fileURLWithPath: layer + "/which"))
                layers.append(layer)
            }
            let shared = machine.folder.appending("shared").string
            try manager.createDirectory(atPath: shared, withIntermediateDirectories: true)
            var spec = machine.spec(
                "m", "cat /which; echo; echo out > /rw/file; (echo no > /ro/file) 2>/dev/null || echo refused; touch /new && echo writable")
            spec.layers = layers
            spec.mounts = [
                .init(source: shared, destination: "/rw"), .init(source: shared, destination: "/ro", readOnly: true),
            ]
            let (status, output) = try await machine.run(spec)
            #expect(status.code == 0)
            #expect(output == ["layer 149", "refused", "writable"])
            #expect(text(shared + "/file") == "out\n")
            #expect(!manager.fileExists(atPath: layers[150] + "/new"))
        }
    }

    @Test func readOnlyRootAndUsers() async throws {
        try await Machine.with { machine async throws in
            let etc = machine.folder.appending("layer/etc").string
            try FileManager.default.createDirectory(atPath: etc, withIntermediateDirectories: true)
            // A link that would leave the image for this machine's own file, were it followed outside.
            try FileManager.default.createSymbolicLink(atPath: etc + "/passwd", withDestinationPath: "/etc/accounts")
            try Data("root:x:0:0::/:/bin/sh\napp:x:1234:55::/home/app:/bin/sh\n".utf8).write(to: URL(fileURLWithPath: etc + "/accounts"))
            try Data("extra:x:77:app\nweb:x:88:\n".utf8).write(to: URL(fileURLWithPath: etc + "/group"))
            for (index, (user, expected)) in [
                ("", "0 0"), ("app", "1234 55"), ("1000", "1000 0"), ("app:web", "1234 88"), ("5:6", "5 6"),
            ].enumerated() {
                var spec = machine.spec(
                    "u\(index)", "echo $(id -u) $(id -g); touch /x 2>/dev/null || echo read-only; touch /tmp/x /run/x && echo memory")
                spec.user = user
                spec.readOnlyRoot = true
                #expect(try await machine.run(spec).output == [expected, "read-only", "memory"])
            }
            var spec = machine.spec("nobody", "true")
            spec.user = "ghost"
            let error = await #expect(throws: ContainerError.self) { try await machine.runtime.start(spec) }
            #expect(error?.code == .userNotFound)
            #expect(try await machine.runtime.observe("nobody") == nil)
        }
    }

    @Test func privilegesAreDropped() async throws {
        try await Machine.with { machine async throws in
            let script =
                "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; mount -t tmpfs x /tmp 2>/dev/null || echo 'no mount'; (echo 1 > /proc/sys/kernel/hostname) 2>/dev/null || echo 'no sysctl'"
            var spec = machine.spec("p", script)
            spec.capabilities = ContainerSpec.instanceCapabilities
            let output = try await machine.run(spec).output.map { $0.replacingOccurrences(of: "\t", with: " ") }
            #expect(output == ["CapEff: 0000000000000400", "NoNewPrivs: 1", "Seccomp: 2", "no mount", "no sysctl"])
        }
    }

    @Test func limits() async throws {
        try await Machine.with { machine async throws in
            var hungry = machine.spec("hungry", "tail /dev/zero")
            hungry.limits.memoryBytes = 16 << 20
            let status = try await machine.run(hungry).status
            #expect(status.outOfMemory && status.code != 0)

            var many = machine.spec("many", "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo not reached")
            many.limits.pids = 5
            many.limits.cpus = 0.5
            let (ended, output) = try await machine.run(many)
            #expect(ended.code != 0 && !ended.outOfMemory)
            #expect(!output.contains("not reached"))
        }
    }

    @Test func mistakesAreNamed() async throws {
        try await Machine.with { machine async throws in
            var spec = machine.spec("wrong", "")
            spec.arguments = ["no-such-program", "x"]
            var error = await #expect(throws: ContainerError.self) { try await machine.runtime.start(spec) }
            #expect(error?.code == .commandNotFound)
            #expect(error?.message == "the image has no command 'no-such-program'")
            spec.arguments = ["/etc/passwd-not-here"]
            error = await #expect(throws: ContainerError.self) { try await machine.runtime.start(spec) }
            #expect(error?.code == .commandNotFound)
            spec.arguments = ["true"]
            spec.mounts = [.init(source: "/no/such/folder", destination: "/x")]
            error = await #expect(throws: ContainerError.self) { try await machine.runtime.start(spec) }
            #expect(error?.code == .invalidSpec)
            for id in ["", "../x", "UPPER", "a/b", String(repeating: "a", count: 64)] {
                spec.id = id
                error = await #expect(throws: ContainerError.self) { try await machine.runtime.start(spec) }
                #expect(error?.code == .invalidSpec)
                #expect(try await machine.runtime.observe(id) == nil)
            }
            #expect(try await machine.runtime.list().isEmpty)

            var settings = machine.settings
            settings.conmon = "conmon-is-not-here"
            let without = ContainerRuntime(root: machine.folder.appending("other"), settings: settings)
            error = await #expect(throws: ContainerError.self) { try await without.start(machine.spec("x", "true")) }
            #expect(error?.code == .missingProgram)
            #expect(error?.hint.contains("apt-get install runc conmon containernetworking-plugins") == true)
        }
    }

    @Test func doctor() async throws {
        try await Machine.with { machine async throws in
            let findings = await machine.runtime.check()
            #expect(findings.map(\.name) == ["root", "runc", "conmon", "CNI plugins", "overlayfs", "cgroups"])
            #expect(findings.allSatisfy { $0.ok && $0.hint == nil }, "\(findings)")
            #expect(try await machine.runtime.list().isEmpty)
        }
    }
}
