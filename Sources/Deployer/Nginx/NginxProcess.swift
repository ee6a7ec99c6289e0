import BlockingQueue
import Glibc
import SystemPackage

/// The router's nginx as the kernel shows it: found by pid file, believed only after a look into /proc.
/// Reading /proc does not block; the programs are awaited.
struct NginxProcess: RouterProgram {
    let folder: FilePath
    let settings: NginxSettings

    var configuration: String { "nginx.conf" }
    var listenAddress: String { settings.listenAddress }
    var listenPort: Int { settings.listenPort }
    var confirmTimeout: Duration { settings.confirmTimeout }
    var handover: Duration { settings.handover }
    var tls: RouterTLS? { settings.tls }
    /// Workers only need to pass through the folder and write into `temp`.
    var folders: [(name: String, mode: UInt32)] { [("handover", 0o711), ("temp", 0o711)] }

    func render(_ table: RouteTable) -> String {
        // Root's workers give their rights away.
        NginxConfiguration(folder: folder, settings: settings, table: table, user: geteuid() == 0 ? "nobody nogroup" : nil).render()
    }

    /// The master process; nil when it does not run. A pid that meanwhile belongs to another program does not count.
    func master() -> Int32? {
        DaemonProcess(folder: folder).pid(in: "nginx.pid") { $0.hasPrefix("nginx: master process") }
    }

    /// The processes that serve requests, those that only finish old ones included.
    func workers(of master: Int32) -> [(pid: Int32, leaving: Bool)] {
        DaemonProcess.children(of: master).compactMap { pid in
            let title = DaemonProcess.title(pid)
            guard title.hasPrefix("nginx: worker process") else { return nil }
            return (pid, title.contains("shutting down"))
        }
    }

    func dismissOrphans() throws -> Bool {
        let process = DaemonProcess(folder: folder)
        let orphans = DaemonProcess.all().filter { pid in
            let title = DaemonProcess.title(pid)
            guard title.hasPrefix("nginx: worker process"), !title.contains("shutting down"), process.runsHere(pid) else { return false }
            return DaemonProcess.parent(of: pid).map { !DaemonProcess.title($0).hasPrefix("nginx: master process") } ?? false
        }
        for pid in orphans { try signal(pid, SIGQUIT) }
        return !orphans.isEmpty
    }

    /// `nginx -t` on a file in the folder.
    func test(_ file: String) async throws {
        let result = try await run(["-t", "-q", "-p", "./", "-e", "error.log", "-c", file])
        guard result.succeeded else {
            throw DeployerError(
                .configurationRefused, "nginx refused the new routes: \(Self.reason(result.errors))",
                hint: "the routes before stay in force; see \(folder.appending(file))")
        }
    }

    /// What `nginx -v` says.
    func version() async throws -> String {
        let result = try await run(["-v"])
        guard let line = result.errors.split(separator: "\n").first, result.succeeded else {
            throw DeployerError(
                .routerMissing, "\(settings.program) does not say its version: \(result.errors)",
                hint: "install the Debian package nginx-light")
        }
        return String(line)
    }

    /// Starts the daemon; returns once it listens.
    func start() async throws {
        let result = try await run(["-p", "./", "-e", "error.log", "-c", "nginx.conf"])
        guard result.succeeded else {
            if result.errors.contains("bind() to") {
                throw DeployerError(
                    .portTaken,
                    "the router cannot listen on \(settings.listenAddress) port \(settings.listenPort): "
                        + Self.reason(result.errors),
                    hint: "stop the program that uses the port, or set another router port")
            }
            throw DeployerError(
                .routerNotReady, "nginx did not start: \(Self.reason(result.errors))",
                hint: "see error.log in \(folder)")
        }
        // It answers its starter a moment before it writes its pid.
        for _ in 0..<2000 {
            if master() != nil { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw DeployerError(
            .routerNotReady, "nginx was started but did not write its pid", hint: "see error.log in \(folder)")
    }

    /// Asks the master to read `nginx.conf` again.
    func reload(_ master: Int32) throws { try signal(master, SIGHUP) }

    /// See ``NginxConfiguration``: what the flag file says.
    func askOver(generation: Int) async {
        let flag = folder.appending(NginxConfiguration.flagFile(generation))
        guard let file = try? FileDescriptor.open(flag, .writeOnly, options: [.create, .closeOnExec], permissions: [.ownerReadWrite])
        else { return }
        try? file.close()
        try? await Task.sleep(for: settings.handover)
    }

    func forget(generation: Int) { unlink(folder.appending(NginxConfiguration.flagFile(generation)).string) }

    func rotateLogs(_ log: TrafficCounts) async throws {
        let folder = folder
        let limit = settings.logLimit
        let renamed = try await log.queue.run { _ in
            ["access.log", "error.log"].filter { name in
                let path = folder.appending(name).string
                var status = stat()
                return stat(path, &status) == 0 && status.st_size > limit && rename(path, path + ".1") == 0
            }
        }
        let isPutAside = try await log.rotate(limit: limit)
        // The master opens them by their names again.
        if isPutAside || !renamed.isEmpty, let master = master() { try signal(master, SIGUSR1) }
    }

    /// Asks the master to end after the requests it has.
    func quit(_ master: Int32) throws { try signal(master, SIGQUIT) }

    private func signal(_ pid: Int32, _ number: Int32) throws {
        try DaemonProcess.signal(pid, number, "nginx")
    }

    private func run(_ arguments: [String]) async throws -> (succeeded: Bool, output: String, errors: String) {
        try await DaemonProcess.run(settings.program, arguments, in: folder, package: "nginx-light")
    }

    /// The line that says why, without time and process number.
    private static func reason(_ errors: String) -> String {
        let lines = errors.split(separator: "\n").map(String.init)
        let line = lines.first { $0.contains("[emerg]") } ?? lines.last ?? "it did not say why"
        guard let mark = line.firstRange(of: "[emerg]") else { return line }
        return String(line[mark.upperBound...].drop { $0 == " " || $0 == ":" || $0.isNumber || $0 == "#" })
    }
}
