import Foundation
import FreePort
import Testing

/// The real binary, serving a temporary data directory on free loopback ports.
final class ServerFixture {
    let folder: URL
    let port: Int
    let routerPort: Int
    /// Settings for the next start.
    var environment: [String: String] = [:]
    private var process: Process?
    private var hasOwnDisk = false
    private let logName: String

    var data: URL { folder.appendingPathComponent("data") }
    var url: String { "http://127.0.0.1:\(port)" }
    var token: String { text(data, "admin-token").trimmingCharacters(in: .whitespacesAndNewlines) }

    /// Beside the tests.
    static let binary: String = {
        let folder = URL(fileURLWithPath: CommandLine.arguments.first ?? "").deletingLastPathComponent().path
        let root = URL(fileURLWithPath: #filePath).pathComponents.dropLast(3).joined(separator: "/").dropFirst()
        return ["\(folder)/slipway", "\(root)/.build/debug/slipway"]
            .first { FileManager.default.isExecutableFile(atPath: $0) } ?? "slipway"
    }()

    /// A server with the image `library/busybox:1`, and nothing of it left afterwards.
    /// - Parameter dataDiskMiB: gives the data directory a file system of its own, of this size.
    /// - Parameter store: a PostgreSQL database instead of the file in the data directory.
    static func with(dataDiskMiB: Int? = nil, store: String? = nil, _ body: (ServerFixture) async throws -> Void) async throws {
        try #require(geteuid() == 0, "containers need root: run the tests as root")
        try await withFolder { folder in
            let server = try ServerFixture(folder, store: store)
            if let dataDiskMiB { try await server.mountDisk(megabytes: dataDiskMiB) }
            do {
                let imported = try await server.slipway(
                    "image", "import", BaseImage.make(in: folder).path, "library/busybox:1", "--data", server.data.path)
                guard imported.status == 0 else { throw Failed(imported.errors) }
                try await server.start()
                try await body(server)
            } catch {
                let log = text(folder, "server.log").split(separator: "\n").suffix(30).joined(separator: "\n")
                Issue.record("\(error)\nThe server's last lines:\n\(log)")
                try? await server.tearDown()
                return
            }
            try await server.tearDown()
        }
    }

    private init(_ folder: URL, store: String?) throws {
        self.folder = folder
        logName = "server.log"
        if let store { environment["SLIPWAY_STORE"] = store }
        port = try freePort()
        routerPort = try freePort()
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
    }

    /// Another server of the same data directory, router and store; it ends with `body`.
    func withSibling(_ settings: [String: String] = [:], _ body: (ServerFixture) async throws -> Void) async throws {
        let sibling = try ServerFixture(beside: self)
        sibling.environment.merge(settings) { $1 }
        do {
            try await sibling.start()
            try await body(sibling)
        } catch {
            let log = text(folder, sibling.logName).split(separator: "\n").suffix(30).joined(separator: "\n")
            Issue.record("the other server's last lines:\n\(log)")
            if sibling.process != nil { try? await sibling.kill9() }
            throw error
        }
        if sibling.process != nil { #expect(try await sibling.stop() == 0) }
    }

    private init(beside other: ServerFixture) throws {
        folder = other.folder
        logName = "sibling.log"
        environment = other.environment
        port = try freePort()
        routerPort = other.routerPort
    }

    /// Starts it and waits until it is ready, or only until it answers.
    func start(untilReady: Bool = true, options: [String] = []) async throws {
        let process = try launch(options)
        try await answers(process, at: untilReady ? "readyz" : "healthz")
    }

    private func answers(_ process: Process, at path: String) async throws {
        try await until("the server answers at \(path)") {
            guard process.isRunning else { throw Failed("the server ended with status \(process.terminationStatus)") }
            return try await http("GET", "\(url)/\(path)").status == 200
        }
    }

    /// Another server takes the place of this one; returns the exit status of the one that was there.
    func replace() async throws -> Int32 {
        guard let old = process else { throw Failed("no server runs") }
        let new = try launch(["--replace"])
        try await until("the old server ends") {
            guard old.isRunning, !new.isRunning else { return !old.isRunning }
            throw Failed("the new server ended with status \(new.terminationStatus)")
        }
        try await answers(new, at: "readyz")
        return old.terminationStatus
    }

    private func launch(_ options: [String]) throws -> Process {
        let log = folder.appendingPathComponent(logName)
        // Two servers write to it while one takes over.
        let handle = FileHandle(fileDescriptor: open(log.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644), closeOnDealloc: false)
        defer { try? handle.close() }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.binary)
        process.arguments = arguments + options
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
        self.process = process
        return process
    }

    var arguments: [String] {
        ["serve", "--data", data.path, "--listen", "127.0.0.1:\(port)", "--router-port", "\(routerPort)"]
    }

    private func mountDisk(megabytes: Int) async throws {
        let mounted = try await command("/bin/mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m", "slipway-test", data.path])
        guard mounted.status == 0 else { throw Failed(mounted.errors) }
        hasOwnDisk = true
    }

    /// As the kernel does when memory runs out: no chance to say good-bye.
    func kill9() async throws {
        guard let process else { throw Failed("no server runs") }
        kill(process.processIdentifier, SIGKILL)
        try await end(process)
    }

    /// As a debugger or a machine that swaps does: it lives, and does nothing.
    func freeze() throws { try signal(SIGSTOP) }
    func thaw() throws { try signal(SIGCONT) }

    private func signal(_ number: Int32) throws {
        guard let process else { throw Failed("no server runs") }
        kill(process.processIdentifier, number)
    }

    /// What it has logged so far.
    var log: String { text(folder, logName) }

    /// SIGTERM; returns its exit status.
    @discardableResult
    func stop() async throws -> Int32 {
        guard let process else { throw Failed("no server runs") }
        kill(process.processIdentifier, SIGTERM)
        try await end(process)
        return process.terminationStatus
    }

    private func end(_ process: Process) async throws {
        try await until("the server ends") { !process.isRunning }
        self.process = nil
    }

    /// Instances and router outlive a server by design; so the projects are removed first.
    private func tearDown() async throws {
        var complaints: [String] = []
        if process != nil {
            for project in (try? await names()) ?? [] {
                var answer = ""
                let removed: Void? = try? await until("project \(project) is removed") {
                    let outcome = try await slipway("project", "remove", project)
                    if !answer.hasSuffix(outcome.errors) { answer += outcome.errors }
                    return outcome.status == 0
                }
                if removed == nil { complaints.append("project \(project) cannot be removed: \(answer)") }
            }
            if (try? await stop()) != 0 { complaints.append("SIGTERM does not stop the server in order") }
        }
        if let pid = Int32(text(data, "router/nginx.pid").trimmingCharacters(in: .whitespacesAndNewlines)) {
            kill(pid, SIGTERM)
            let gone: Void? = try? await until("nginx ends") { kill(pid, 0) != 0 }
            if gone == nil { complaints.append("nginx does not stop") }
        }
        if hasOwnDisk, try await command("/bin/umount", [data.path]).status != 0 { complaints.append("the data directory is busy") }
        let left = Leftovers(folder)
        if !left.isEmpty { complaints.append("left behind: \(left)") }
        left.remove()
        try? FileManager.default.removeItem(atPath: runtimeState)
        #expect(complaints.isEmpty)
    }

    /// Sockets and locks of the container runtime: a folder named for the path of the containers (FNV-1a).
    private var runtimeState: String {
        let path = data.appendingPathComponent("containers").path
        let hash = path.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "/run/slipway/\(String(hash, radix: 16))"
    }

    private func names() async throws -> [String] {
        struct Name: Decodable { var name: String }
        return try await ask(["project", "list"], as: [Name].self).map(\.name)
    }
}
