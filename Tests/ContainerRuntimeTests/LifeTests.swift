import ContainerRuntime
import Foundation
import Glibc
import SystemPackage
import Testing

import struct ContainerRuntime.ExitStatus

@Suite(.serialized) struct LifeTests {
    @Test func anotherRuntimeFindsItAgain() async throws {
        try await Machine.with { machine async throws in
            let spec = machine.spec("service", "echo up; while [ ! -e /shared/stop ]; do sleep 0.02; done; exit 3")
            let shared = machine.folder.appending("shared")
            try FileManager.default.createDirectory(atPath: shared.string, withIntermediateDirectories: true)
            var mounted = spec
            mounted.mounts = [.init(source: shared.string, destination: "/shared")]
            let first = try await machine.runtime.start(mounted)
            #expect(first.state == .running)

            let second = ContainerRuntime(root: machine.folder.appending("containers"), settings: machine.settings)
            #expect(try await second.list() == [first])
            #expect(try await second.start(mounted) == first)
            async let exit = second.waitForExit("service")
            try Data().write(to: URL(fileURLWithPath: shared.appending("stop").string))
            #expect(try await exit == ExitStatus(code: 3))
            #expect(try await second.start(mounted).state == .exited(ExitStatus(code: 3)))
            #expect(try await second.log("service").tail(5).map(\.text) == ["up"])
        }
    }

    @Test func stopAsksFirstAndKillsAll() async throws {
        try await Machine.with { machine async throws in
            _ = try await machine.runtime.start(machine.spec("polite", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"))
            #expect(try await eventually { try await !machine.runtime.log("polite").tail(1).isEmpty })
            try await machine.runtime.stop("polite", grace: .seconds(10))
            #expect(try await machine.runtime.observe("polite")?.state == .exited(ExitStatus(code: 0)))
            #expect(try await machine.runtime.log("polite").tail(1).first?.text == "bye")

            let stubborn = try await machine.runtime.start(machine.spec("stubborn", "trap '' TERM; sleep 1000 & sleep 1000 & wait; wait"))
            try await machine.runtime.stop("stubborn", grace: .milliseconds(50))
            #expect(try await machine.runtime.observe("stubborn")?.state == .exited(ExitStatus(code: 137)))
            #expect(kill(try #require(stubborn.pid), 0) != 0)
            try await machine.runtime.signal("stubborn", SIGTERM)
        }
    }

    @Test func networkIsReachableAndGivenBack() async throws {
        try await Machine.with { machine async throws in
            var spec = machine.spec("web", "mkdir -p /www; echo from $(hostname) > /www/index.html; exec httpd -f -p 80 -h /www")
            spec.arguments[2] = "busybox " + spec.arguments[2]
            spec.network = .bridge
            spec.capabilities = ContainerSpec.instanceCapabilities
            let seen = try await machine.runtime.start(spec)
            let address = try #require(seen.address)
            #expect(try await eventually { fetch(address, 80, "/index.html").contains("from web") })
            #expect(text(machine.folder.appending("containers/web/hosts").string).contains("\(address)\tweb"))
            let reserved = machine.folder.appending("networks/\(machine.settings.networkName)/\(address)").string
            #expect(access(reserved, F_OK) == 0)
            try await machine.runtime.remove("web")
            #expect(access(reserved, F_OK) != 0)
            #expect(!fetch(address, 80, "/index.html").contains("from web"))
        }
    }

    @Test func nothingIsLeftBehind() async throws {
        try await Machine.with { machine async throws in
            var spec = machine.spec("gone", "sleep 1000")
            spec.network = .bridge
            let seen = try await machine.runtime.start(spec)
            let pid = try #require(seen.pid)
            #expect(text("/proc/self/mountinfo").contains(machine.folder.string))
            try await machine.runtime.remove("gone")
            try await machine.runtime.remove("gone")
            #expect(try await machine.runtime.observe("gone") == nil)
            #expect(kill(pid, 0) != 0)
            #expect(!text("/proc/self/mountinfo").contains(machine.folder.string))
            #expect(try FileManager.default.contentsOfDirectory(atPath: machine.folder.appending("containers").string).isEmpty)
            for folder in ["state/runc", "state/s", "state/locks"] {
                #expect(try FileManager.default.contentsOfDirectory(atPath: machine.folder.appending(folder).string).isEmpty)
            }
            for root in ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup"] {
                #expect(access("\(root)/\(machine.settings.cgroup ?? "")/gone", F_OK) != 0)
            }
        }
    }

    @Test func halfMadeIsFoundAndBegunAgain() async throws {
        try await Machine.with { machine async throws in
            // As a server leaves it that dies at once, after the mount, and while conmon creates.
            for (id, files) in [
                ("early", []), ("middle", ["intent.json", "rootfs/", "upper/x/", "work/"]),
                ("late", ["intent.json", "process.json", "pid", "conmon.pid"]),
            ] as [(String, [String])] {
                let folder = machine.folder.appending("containers").appending(id).string
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                for file in files {
                    let path = "\(folder)/\(file)"
                    if file.hasSuffix("/") {
                        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
                    } else {
                        try Data("{\"half\":".utf8).write(to: URL(fileURLWithPath: path))
                    }
                }
                #expect(try await machine.runtime.observe(id)?.state == .created)
            }
            #expect(try await machine.runtime.list().map(\.id) == ["early", "late", "middle"])
            #expect(try await machine.run(machine.spec("middle", "echo again")).output == ["again"])
            #expect(try await machine.run(machine.spec("late", "echo again")).output == ["again"])
            try await machine.runtime.remove("early")
            #expect(try await machine.runtime.list().map(\.id) == ["late", "middle"])
        }
    }

    @Test func whatWasLetGoIsNotBegunAgain() async throws {
        try await Machine.with { machine async throws in
            let spec = machine.spec("gone-on", "echo once; sleep 1000")
            let first = try await machine.runtime.start(spec)
            // As a server leaves it that dies between letting the process go and removing the pipe.
            #expect(mkfifo(machine.folder.appending("state/runc/gone-on/exec.fifo").string, 0o622) == 0)
            #expect(try await machine.runtime.observe("gone-on")?.state == .running)
            #expect(try await machine.runtime.start(spec).pid == first.pid)
        }
    }

    @Test func lostWithTheMachine() async throws {
        try await Machine.with { machine async throws in
            _ = try await machine.runtime.start(machine.spec("old", "sleep 1000"))
            let record = machine.folder.appending("containers/old/process.json").string
            let conmon = machine.folder.appending("containers/old/conmon.pid").string
            let (before, parent) = (text(record), text(conmon))
            // What a reboot looks like: the record is of another boot, conmon's number is someone else's.
            let boot = text("/proc/sys/kernel/random/boot_id").trimmingCharacters(in: .whitespacesAndNewlines)
            try Data(before.replacingOccurrences(of: boot, with: "another").utf8).write(to: URL(fileURLWithPath: record))
            try Data("1".utf8).write(to: URL(fileURLWithPath: conmon))
            #expect(try await machine.runtime.observe("old")?.state == .exited(.lost))
            #expect(try await machine.runtime.waitForExit("old") == .lost)
            try Data(before.utf8).write(to: URL(fileURLWithPath: record))
            try Data(parent.utf8).write(to: URL(fileURLWithPath: conmon))
        }
    }

    @Test func manyAtOnce() async throws {
        try await Machine.with { machine async throws in
            try await withThrowingTaskGroup(of: Int32.self) { group async throws in
                for number in 0..<12 {
                    group.addTask { try await machine.run(machine.spec("c\(number)", "exit \(number)")).status.code }
                }
                #expect(try await group.reduce(into: Set()) { $0.insert($1) } == Set(0..<12))
            }
            // The same id from many sides: one container.
            try await withThrowingTaskGroup(of: Int32?.self) { group async throws in
                for _ in 0..<6 { group.addTask { try await machine.runtime.start(machine.spec("same", "sleep 1000")).pid } }
                #expect(try await group.reduce(into: Set()) { $0.insert($1) }.count == 1)
            }
        }
    }

    @Test func cancelledStartLeavesNothing() async throws {
        try await Machine.with { machine async throws in
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await machine.runtime.start(machine.spec("cancelled", "sleep 1000"))
            }
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(try await machine.runtime.list().isEmpty)
        }
    }
}

/// One HTTP/1.0 request; empty when nobody answers.
func fetch(_ address: String, _ port: UInt16, _ path: String) -> String {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(socket) }
    var time = timeval(tv_sec: 0, tv_usec: 300_000)
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    inet_pton(AF_INET, address, &name.sin_addr)
    let connected = withUnsafePointer(to: &name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    guard connected == 0 else { return "" }
    let request = "GET \(path) HTTP/1.0\r\n\r\n"
    guard write(socket, request, request.utf8.count) > 0 else { return "" }
    var buffer = [UInt8](repeating: 0, count: 8192)
    var answer: [UInt8] = []
    while case let count = read(socket, &buffer, buffer.count), count > 0 { answer += buffer[..<count] }
    return String(decoding: answer, as: UTF8.self)
}
