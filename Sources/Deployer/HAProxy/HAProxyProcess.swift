import BlockingQueue
import Glibc
import SystemPackage

/// The router's haproxy in master-worker mode: docs.haproxy.org/2.6/management.html#4.
struct HAProxyProcess: RouterProgram {
    let folder: FilePath
    let settings: RouterSettings
    /// Where the runtime API is spoken to.
    let queue: BlockingQueue

    var configuration: String { "haproxy.cfg" }
    var listenAddress: String { settings.listenAddress }
    var listenPort: Int { settings.listenPort }
    var confirmTimeout: Duration { settings.confirmTimeout }
    var handover: Duration { settings.handover }
    var tls: RouterTLS? { settings.tls }
    var folders: [(name: String, mode: UInt32)] { [] }

    private var socket: HAProxySocket { HAProxySocket(folder: folder) }

    private func configuration(_ table: RouteTable) -> HAProxyConfiguration {
        // Root's workers give their rights away.
        HAProxyConfiguration(settings: settings, table: table, account: geteuid() == 0 ? ("nobody", "nogroup") : nil)
    }

    func render(_ table: RouteTable) -> String { configuration(table).render() }

    func attachments(_ table: RouteTable) -> [String: String] {
        [HAProxyConfiguration.state: "generation \(table.generation)\nhandover 0\n"]
    }

    func master() -> Int32? {
        DaemonProcess(folder: folder).pid(in: "haproxy.pid") { $0.contains("haproxy") && $0.contains("-f \(configuration)") }
    }

    /// The youngest is the one that takes requests: a reload tells the others to leave.
    func workers(of master: Int32) -> [(pid: Int32, leaving: Bool)] {
        let workers = DaemonProcess.children(of: master).filter { DaemonProcess.title($0).contains("haproxy") }
        return workers.map { ($0, $0 != workers.last) }
    }

    func test(_ file: String) async throws {
        let result = try await run(["-c", "-q", "-f", file])
        guard result.succeeded else {
            throw DeployerError(
                .configurationRefused, "haproxy refused the new routes: \(Self.reason(result.errors))",
                hint: "the routes before stay in force; see \(folder.appending(file))")
        }
    }

    /// The first line of `haproxy -v`.
    func version() async throws -> String {
        let result = try await run(["-v"])
        guard let line = result.output.split(separator: "\n").first, result.succeeded else {
            throw DeployerError(
                .routerMissing, "\(settings.program) does not say its version: \(result.errors)",
                hint: "install the Debian package haproxy")
        }
        return String(line)
    }

    /// Its standard output is the log of requests, so lines are kept while no server is there.
    func start() async throws {
        let (log, errors, length) = try await queue.run { [folder] _ in
            let log = try Self.append(folder.appending(TrafficLog.file))
            let errors = try Self.append(folder.appending("error.log"))
            return (log, errors, try errors.seek(offset: 0, from: .end))
        }
        defer {
            try? log.close()
            try? errors.close()
        }
        try await DaemonProcess.launch(
            settings.program, ["-W", "-p", "haproxy.pid", "-S", "unix@master.sock,mode,600", "-f", configuration], in: folder,
            output: log, errors: errors)
        for _ in 0..<2000 {
            if master() != nil, await reloads() != nil { return }
            let said = try await said(since: length)
            if said.contains("cannot bind") {
                throw DeployerError(
                    .portTaken,
                    "the router cannot listen on \(settings.listenAddress) port \(settings.listenPort): \(Self.reason(said))",
                    hint: "stop the program that uses the port, or set another router port")
            }
            // Neither warnings nor alerts about instances are a reason not to start.
            let alerts = said.split(separator: "\n").filter { $0.hasPrefix("[ALERT]") }
            if alerts.contains(where: { $0.contains("[haproxy.") || $0.contains(": config :") }) {
                throw DeployerError(.routerNotReady, "haproxy did not start: \(Self.reason(said))", hint: "see error.log in \(folder)")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw DeployerError(.routerNotReady, "haproxy was started but does not answer", hint: "see error.log in \(folder)")
    }

    func canAdjust(from old: RouteTable, to new: RouteTable) -> Bool { configuration(old).structure == configuration(new).structure }

    /// All weights are told, whatever they were; the generation last, so it says that the rest is done.
    func adjust(from old: RouteTable, to new: RouteTable) async throws -> Bool {
        let state = HAProxyConfiguration.state
        let commands =
            configuration(new).weights.map { "set weight \($0.server) \($0.weight)" } + ["set map \(state) generation \(new.generation)"]
        return await queue.value { [folder, socket] in
            try ProcessLock.holding(folder.appending("adjust.lock")) {
                guard try socket.ask(["show map \(state)"]).contains(" generation \(old.generation)\n") else { return false }
                return try socket.tell(commands)
            }
        } ?? false
    }

    func askOver(generation: Int) async {
        let told = await queue.value { [socket] in try socket.tell(["set map \(HAProxyConfiguration.state) handover 1"]) }
        if told == true { try? await Task.sleep(for: settings.handover) }
    }

    /// By the sessions of servers whose weight is 0: fields 1, 2 and 5 of `show stat`.
    func areIdle(in table: RouteTable) async throws -> Bool {
        let silent = Set(configuration(table).weights.filter { $0.weight == 0 }.map(\.server))
        guard !silent.isEmpty else { return true }
        return try await ask(["show stat -1 4 -1"]).split(separator: "\n").allSatisfy { line in
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            return fields.count < 5 || !silent.contains("\(fields[0])/\(fields[1])") || fields[4] == "0"
        }
    }

    /// Returns when the master has begun anew: a signal that comes meanwhile would be forgotten.
    func reload(_ master: Int32) async throws {
        let before = await reloads()
        try DaemonProcess.signal(master, SIGUSR2, "haproxy")
        for _ in 0..<200 {
            if let now = await reloads(), now != before { return }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    func quit(_ master: Int32) async throws {
        _ = await reloads()
        try DaemonProcess.signal(master, SIGUSR1, "haproxy")
    }

    /// How often the master has begun anew, and failed to, as `show proc` says; nil while it does not listen.
    private func reloads() async -> String? {
        let answer = await queue.value { [folder] in try HAProxySocket(folder: folder, name: "master.sock").ask(["show proc"]) }
        guard let line = answer?.split(separator: "\n").first(where: { $0.contains(" master ") }) else { return nil }
        return line.split(separator: " ").dropFirst(2).prefix(3).joined(separator: " ")
    }

    func rotateLogs(_ log: TrafficCounts) async throws { try await log.trim(limit: settings.logLimit, also: "error.log") }

    private func ask(_ commands: [String]) async throws -> String {
        try await queue.run { [socket] _ in try socket.ask(commands) }
    }

    private func said(since length: Int64) async throws -> String {
        try await queue.run { [folder] _ in
            let file = try FileDescriptor.open(folder.appending("error.log"), .readOnly, options: [.closeOnExec])
            return try file.closeAfter {
                var bytes = [UInt8](repeating: 0, count: 64 << 10)
                let count = try bytes.withUnsafeMutableBytes { try file.read(fromAbsoluteOffset: length, into: $0) }
                return String(decoding: bytes[..<count], as: UTF8.self)
            }
        }
    }

    private func run(_ arguments: [String]) async throws -> (succeeded: Bool, output: String, errors: String) {
        try await DaemonProcess.run(settings.program, arguments, in: folder, package: "haproxy")
    }

    private static func append(_ path: FilePath) throws -> FileDescriptor {
        try FileDescriptor.open(
            path, .readWrite, options: [.create, .append, .closeOnExec], permissions: [.ownerReadWrite, .groupRead])
    }

    /// The first line that says why, without process number.
    private static func reason(_ errors: String) -> String {
        let lines = errors.split(separator: "\n").map(String.init)
        guard let line = lines.first(where: { $0.contains("[ALERT]") }) else { return lines.last ?? "it did not say why" }
        return String(line[(line.firstRange(of: ") : ")?.upperBound ?? line.startIndex)...])
    }
}

extension BlockingQueue {
    /// What a body gives, or nil when it fails: for what is tried again in another way.
    fileprivate func value<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async -> T? { try? await run { _ in try body() } }
}
