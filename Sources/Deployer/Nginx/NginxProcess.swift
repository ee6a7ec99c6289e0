import Glibc
import Subprocess
import SystemPackage

/// The router's nginx as the kernel shows it: found by pid file, believed only after a look into /proc.
/// Reading /proc does not block; the programs are awaited.
struct NginxProcess {
    let folder: FilePath
    let settings: NginxSettings

    var configuration: FilePath { folder.appending("nginx.conf") }

    /// The master process; nil when it does not run. A pid that meanwhile belongs to another program does not count.
    func master() -> Int32? {
        guard let bytes = try? AtomicFile.read(folder.appending("nginx.pid"), limit: 64),
            let pid = Int32(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)), pid > 1,
            title(pid).hasPrefix("nginx: master process"), runsHere(pid)
        else { return nil }
        return pid
    }

    /// The processes that serve requests, those that only finish old ones included.
    func workers(of master: Int32) -> [(pid: Int32, leaving: Bool)] {
        let path = "/proc/\(master)/task/\(master)/children"
        guard let bytes = try? AtomicFile.read(FilePath(path), limit: 64 << 10) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).compactMap { word in
            guard let pid = Int32(word) else { return nil }
            let title = title(pid)
            guard title.hasPrefix("nginx: worker process") else { return nil }
            return (pid, title.contains("shutting down"))
        }
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
        for _ in 0..<500 {
            if master() != nil { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw DeployerError(
            .routerNotReady, "nginx was started but did not write its pid", hint: "see error.log in \(folder)")
    }

    /// Asks the master to read `nginx.conf` again.
    func reload(_ master: Int32) throws { try signal(master, SIGHUP) }

    /// Asks the master to open its logs by their names again.
    func reopenLogs(_ master: Int32) throws { try signal(master, SIGUSR1) }

    /// Asks the master to end after the requests it has.
    func quit(_ master: Int32) throws { try signal(master, SIGQUIT) }

    private func signal(_ pid: Int32, _ number: Int32) throws {
        guard kill(pid, number) == 0 else {
            throw DeployerError(
                .routerNotReady, "nginx (process \(pid)) cannot be signalled: \(Errno(rawValue: errno))",
                hint: "the server must run under the account that started it")
        }
    }

    /// A daemon left behind outlives us: it has its own session, none of our open files and its log as standard error.
    private func run(_ arguments: [String]) async throws -> (succeeded: Bool, errors: String) {
        let program: Executable = settings.program.contains("/") ? .path(FilePath(settings.program)) : .name(settings.program)
        // Debian keeps nginx where only root's PATH looks.
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        let environment = Environment.custom(["PATH": path + ":/usr/local/sbin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"])
        do {
            let result = try await Subprocess.run(
                program, arguments: Arguments(arguments), environment: environment, workingDirectory: folder,
                output: .discarded, error: .string(limit: 64 << 10))
            return (result.terminationStatus.isSuccess, result.standardError)
        } catch let error as SubprocessError where error.code == .executableNotFound {
            throw DeployerError(
                .routerMissing, "the program \(settings.program) is not installed",
                hint: "install the Debian package nginx-light, or set the path of nginx")
        }
    }

    private func title(_ pid: Int32) -> String {
        let bytes = (try? AtomicFile.read(FilePath("/proc/\(pid)/cmdline"), limit: 64 << 10)) ?? nil
        return String(decoding: (bytes ?? []).map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
    }

    /// Its working directory is our folder: how it was started.
    private func runsHere(_ pid: Int32) -> Bool {
        var ours = stat()
        var its = stat()
        guard stat(folder.string, &ours) == 0, stat("/proc/\(pid)/cwd", &its) == 0 else { return false }
        return ours.st_dev == its.st_dev && ours.st_ino == its.st_ino
    }

    /// The line that says why, without time and process number.
    private static func reason(_ errors: String) -> String {
        let lines = errors.split(separator: "\n").map(String.init)
        let line = lines.first { $0.contains("[emerg]") } ?? lines.last ?? "it did not say why"
        guard let mark = line.firstRange(of: "[emerg]") else { return line }
        return String(line[mark.upperBound...].drop { $0 == " " || $0 == ":" || $0.isNumber || $0 == "#" })
    }
}
