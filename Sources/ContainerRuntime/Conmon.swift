import FoundationEssentials
import Glibc
import SystemPackage

/// conmon(8): parent of the container, keeper of its log and exit code. It leaves our session and lives on without us.
struct Conmon {
    let program: String
    let runtime: String
    let paths: ContainerPaths
    let settings: RuntimeSettings

    /// What conmon writes to its sync pipe: the pid, or -1 and the runtime's words.
    private struct Report: Decodable {
        var pid: Int32
        var message: String?
    }

    var arguments: [String] {
        [
            "--cid", paths.id, "--cuuid", paths.id, "--name", paths.id, "--runtime", runtime,
            "--bundle", paths.folder.string, "--container-pidfile", paths.pidFile.string,
            "--conmon-pidfile", paths.conmonPIDFile.string, "--exit-dir", paths.exitFolder.string,
            "--persist-dir", paths.persist.string, "--socket-dir-path", paths.sockets.string,
            "--log-path", "k8s-file:\(paths.log)", "--log-size-max", String(settings.logLimit),
            "--log-level", "error", "--no-sync-log",
            "--runtime-arg", "--root", "--runtime-arg", paths.runtimeRoot.string,
        ]
    }

    /// Creates the container; its program waits to be started. Returns its first process.
    func create(_ command: String) throws(ContainerError) -> Int32 {
        let log: FileDescriptor
        let null: FileDescriptor
        do {
            log = try FileDescriptor.open(
                paths.conmonLog, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: [.ownerReadWrite])
            null = try FileDescriptor.open("/dev/null", .readWrite, options: [.closeOnExec])
        } catch { throw ContainerError.file("open", paths.conmonLog, error) }
        defer {
            try? log.close()
            try? null.close()
        }
        let sync = try Pipe()
        defer { sync.closeReader() }
        let conmon = Command(
            program: program, arguments: arguments,
            environment: ["PATH": settings.searchPath, "_OCI_SYNCPIPE": "3"], folder: paths.persist)
        let pid: pid_t
        do {
            defer { sync.closeWriter() }
            pid = try conmon.spawn(
                descriptors: [null.rawValue, null.rawValue, log.rawValue, sync.writer], newSession: true)
        }
        let deadline = ContinuousClock.now + .seconds(60)
        let answer = Pipe.drain([sync.reader], limit: 256 << 10, until: deadline, line: true)[0]
        if answer.isEmpty, ContinuousClock.now >= deadline { kill(pid, SIGKILL) }
        // The first process only forks the one that stays.
        _ = Command.wait(pid)
        guard let report = try? JSONDecoder().decode(Report.self, from: Data(answer)) else {
            let words = Files.text(paths.conmonLog) ?? ""
            throw ContainerError(
                .runtimeFailed, "conmon did not start \(paths.id): \(words.isEmpty ? "no answer" : String(words.suffix(2000)))")
        }
        guard report.pid > 0 else {
            let words = (report.message ?? "") + " " + (Files.text(paths.conmonLog) ?? "")
            throw RuntimeWords(words).error(command: command)
        }
        return report.pid
    }

    /// Is `pid` a conmon of that bundle? The number may belong to someone else by now.
    static func isAlive(_ pid: Int32, folder: FilePath) -> Bool {
        let words = Files.text(FilePath("/proc/\(pid)/cmdline"))?.split(separator: "\0") ?? []
        return words.contains("--cuuid") && words.contains { $0 == folder.string } && ProcessRecord.startTicks(of: pid) != nil
    }

    /// Looks through all processes: for the moment in which conmon runs and has not written its number yet.
    static func find(folder: FilePath) -> Int32? {
        Files.names(in: "/proc").lazy.compactMap { Int32($0) }.first { isAlive($0, folder: folder) }
    }
}

/// Makes an error that names the user's mistake out of what runc and conmon print.
struct RuntimeWords {
    let text: String

    init(_ text: String) { self.text = text.replacingAll("\\\"", with: "\"") }

    func error(command: String) -> ContainerError {
        if text.contains("executable file not found") || text.contains("stat \(command): no such file") {
            return ContainerError(
                .commandNotFound, "the image has no command '\(command)'",
                hint: "check the spelling, the image's PATH, and whether the image has a shell at all")
        }
        if text.contains("exec: \"\(command)\": permission denied") || text.contains("exec \(command): permission denied") {
            return ContainerError(
                .commandNotFound, "'\(command)' of the image is not executable", hint: "set its mode to 0755 when it is copied")
        }
        if text.contains("exec: \"\(command)\": is a directory") {
            return ContainerError(.commandNotFound, "'\(command)' of the image is a folder", hint: "name a program")
        }
        return ContainerError(.runtimeFailed, "the container was not created: \(summary)")
    }

    /// The last message of runc's log format, without the rest.
    private var summary: String {
        let lines = text.split(separator: "\n").filter { $0.contains("level=error") || $0.contains("rror") }
        let line = String(lines.last ?? Substring(text))
        guard let start = line.firstRange(of: "msg=\"")?.upperBound else { return String(line.suffix(1000)) }
        return String(line[start...].prefix { $0 != "\n" }.suffix(1000).trimmingSuffix("\""))
    }
}

extension String {
    func replacingAll(_ old: String, with new: String) -> String { split(separator: old, omittingEmptySubsequences: false).joined(separator: new) }
}

extension StringProtocol {
    func trimmingSuffix(_ suffix: String) -> String { hasSuffix(suffix) ? String(dropLast(suffix.count)) : String(self) }
}
