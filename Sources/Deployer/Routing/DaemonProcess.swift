import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage

/// A daemon as the kernel shows it: found by pid file, believed only after a look into /proc. Reading /proc does not block.
struct DaemonProcess {
    let folder: FilePath

    /// The process in a pid file, when its title is right and it works in our folder: a pid may belong to another program meanwhile.
    func pid(in file: String, isRight: (String) -> Bool) -> Int32? {
        guard let bytes = try? AtomicFile.read(folder.appending(file), limit: 64),
            let pid = Int32(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)), pid > 1,
            isRight(Self.title(pid)), runsHere(pid)
        else { return nil }
        return pid
    }

    static func children(of pid: Int32) -> [Int32] {
        guard let bytes = try? AtomicFile.read(FilePath("/proc/\(pid)/task/\(pid)/children"), limit: 64 << 10) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).compactMap { Int32($0) }
    }

    static func all() -> [Int32] {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { Int32($0) } ?? []
    }

    /// Nil when the process is gone; 1 for one whose parent is (proc(5), `/proc/<pid>/status`).
    static func parent(of pid: Int32) -> Int32? {
        let bytes = (try? AtomicFile.read(FilePath("/proc/\(pid)/status"), limit: 64 << 10)) ?? nil
        let line = String(decoding: bytes ?? [], as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("PPid:") }
        return line.flatMap { Int32($0.dropFirst(5).drop { $0.isWhitespace }) }
    }

    /// Its words, with blanks between them.
    static func title(_ pid: Int32) -> String {
        let bytes = (try? AtomicFile.read(FilePath("/proc/\(pid)/cmdline"), limit: 64 << 10)) ?? nil
        return String(decoding: (bytes ?? []).map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
    }

    /// Runs a program in a folder until it ends. What it leaves behind outlives us: a daemon has its own session and none of our
    /// open files.
    /// - Parameter program: found along PATH, and where Debian keeps what only root's PATH looks for, unless it holds a slash.
    static func run(
        _ program: String, _ arguments: [String], in folder: FilePath, package: String
    ) async throws -> (succeeded: Bool, output: String, errors: String) {
        do {
            let result = try await Subprocess.run(
                executable(program), arguments: Arguments(arguments), environment: environment, workingDirectory: folder,
                output: .string(limit: 64 << 10), error: .string(limit: 64 << 10))
            return (result.terminationStatus.isSuccess, result.standardOutput, result.standardError)
        } catch let error as SubprocessError where error.code == .executableNotFound {
            throw DeployerError(
                .routerMissing, "the program \(program) is not installed",
                hint: "install the Debian package \(package), or set the path of the program")
        }
    }

    /// Starts a program that is no daemon by itself in a session of its own, by setsid(1); returns at once.
    static func launch(
        _ program: String, _ arguments: [String], in folder: FilePath, output: FileDescriptor, errors: FileDescriptor
    ) async throws {
        _ = try await Subprocess.run(
            executable("setsid"), arguments: Arguments(["--fork", program] + arguments), environment: environment,
            workingDirectory: folder, output: .fileDescriptor(output, closeAfterSpawningProcess: false),
            error: .fileDescriptor(errors, closeAfterSpawningProcess: false))
    }

    private static func executable(_ program: String) -> Executable {
        program.contains("/") ? .path(FilePath(program)) : .name(program)
    }

    private static var environment: Environment {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return .custom(["PATH": path + ":/usr/local/sbin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"])
    }

    static func signal(_ pid: Int32, _ number: Int32, _ name: String) throws {
        guard kill(pid, number) == 0 else {
            throw DeployerError(
                .routerNotReady, "\(name) (process \(pid)) cannot be signalled: \(Errno(rawValue: errno))",
                hint: "the server must run under the account that started it")
        }
    }

    /// Its working directory is our folder: how it was started.
    func runsHere(_ pid: Int32) -> Bool {
        var ours = stat()
        var its = stat()
        guard stat(folder.string, &ours) == 0, stat("/proc/\(pid)/cwd", &its) == 0 else { return false }
        return ours.st_dev == its.st_dev && ours.st_ino == its.st_ino
    }
}
