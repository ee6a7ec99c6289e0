import ContainerRuntime
import Foundation
import Glibc
import Synchronization
import SystemPackage
import Testing

import struct ContainerRuntime.ExitStatus

/// A runtime over temporary folders with a busybox root, and everything of it gone afterwards.
struct Machine {
    let folder: FilePath
    let runtime: ContainerRuntime
    let settings: RuntimeSettings
    var layer: String { folder.appending("layer").string }

    /// Fails, naming the package, where a part is missing.
    static func with(_ body: (Machine) async throws -> Void) async throws {
        for (file, package) in [
            ("/bin/busybox", "busybox-static"), ("/usr/sbin/runc", "runc"), ("/usr/bin/conmon", "conmon"),
            ("/usr/lib/cni/bridge", "containernetworking-plugins"),
        ] where access(file, X_OK) != 0 {
            Issue.record("\(file) is missing: apt-get install \(package)")
            return
        }
        let machine = try Machine()
        do {
            try await body(machine)
        } catch {
            await machine.close()
            throw error
        }
        await machine.close()
    }

    /// Each has a subnet of its own.
    private static let numbers = Atomic(Int.random(in: 0..<8192))

    private init() throws {
        var template = Array("/tmp/slipway-containers-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        folder = FilePath(String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        let number = Self.numbers.wrappingAdd(1, ordering: .relaxed).newValue % 8192
        var settings = RuntimeSettings()
        settings.networkName = "swt\(number)"
        settings.bridge = "swt\(number)"
        settings.subnet = "10.\(200 + number / 256).\(number % 256).0/24"
        settings.masquerade = false
        settings.cgroup = "slipway-test-\(number)"
        settings.stateFolder = folder.appending("state")
        settings.networkFolder = folder.appending("networks")
        self.settings = settings
        runtime = ContainerRuntime(root: folder.appending("containers"), settings: settings)
        let bin = folder.appending("layer/bin")
        try FileManager.default.createDirectory(atPath: bin.string, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: bin.appending("busybox").string)
        for name in [
            "sh", "true", "cat", "echo", "sleep", "id", "pwd", "httpd", "hostname", "ls", "head", "seq", "touch", "env", "mount", "grep", "tail",
            "kill", "printf", "dd",
        ] {
            symlink("busybox", bin.appending(name).string)
        }
    }

    private func close() async {
        for container in (try? await runtime.list()) ?? [] { try? await runtime.remove(container.id) }
        let ip = Process()
        ip.executableURL = URL(fileURLWithPath: "/usr/sbin/ip")
        ip.arguments = ["link", "delete", settings.bridge]
        ip.standardError = FileHandle.nullDevice
        if access("/sys/class/net/\(settings.bridge)", F_OK) == 0, (try? ip.run()) != nil { ip.waitUntilExit() }
        for controller in (try? FileManager.default.contentsOfDirectory(atPath: "/sys/fs/cgroup")) ?? [] {
            rmdir("/sys/fs/cgroup/\(controller)/\(settings.cgroup ?? "")")
        }
        rmdir("/sys/fs/cgroup/\(settings.cgroup ?? "")")
        try? FileManager.default.removeItem(atPath: folder.string)
    }

    func spec(_ id: String, _ script: String) -> ContainerSpec {
        ContainerSpec(id: id, layers: [layer], arguments: ["sh", "-c", script], capabilities: ContainerSpec.stepCapabilities)
    }

    /// Runs to the end and returns how it ended and what it wrote.
    func run(_ spec: ContainerSpec) async throws -> (status: ExitStatus, output: [String]) {
        _ = try await runtime.start(spec)
        let status = try await runtime.waitForExit(spec.id)
        return (status, try await runtime.log(spec.id).tail(1000).map(\.text))
    }
}

/// Polls until `condition` holds, at most 10 s.
func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}

/// Read to its end: files of /proc have no size, and what Foundation reads of those in one go ends after a page. A pipe
/// nobody writes to is empty.
func text(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    return (try? handle.readToEnd()).map { String(decoding: $0, as: UTF8.self) } ?? ""
}
