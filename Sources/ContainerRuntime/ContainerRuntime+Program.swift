import BlockingQueue
import Glibc
import SystemPackage

/// How a program that ran beside a container's own ended.
public struct ProgramEnd: Hashable, Sendable {
    /// Exit code, or 128 + signal; nil: it was killed when its time was over.
    public var code: Int32?
    /// What it wrote, the first 64 KiB of each.
    public var output: String
    public var errors: String

    public init(code: Int32?, output: String, errors: String) {
        self.code = code
        self.output = output
        self.errors = errors
    }
}

extension ContainerRuntime {
    /// Runs a program in a running container, with the user, environment, folder and rights of its first process, until it ends:
    /// runc-exec(8). It is killed, with all of its session, when that takes longer than `timeout` or the task is cancelled.
    ///
    /// - Throws: `.commandNotFound` when the image has no such program, `.notFound` when the container does not run.
    public func run(_ id: String, _ arguments: [String], timeout: Duration) async throws -> ProgramEnd {
        guard ContainerSpec.isValid(id: id), !arguments.isEmpty else { throw ContainerError.notFound(id) }
        return try await programs.run { cancellation in
            let paths = paths(id)
            guard try look(paths)?.state == .running, var process = Files.decode(RuntimeConfig.Process.self, from: paths.program) else {
                throw ContainerError.notFound(id)
            }
            process.args = arguments
            let file = FilePath("\(paths.program)-\(String(UInt64.random(in: 0 ... .max), radix: 36))")
            let pidFile = FilePath("\(file).pid")
            defer {
                unlink(file.string)
                unlink(pidFile.string)
            }
            try Files.write(process, to: file)
            let runtime = Command(
                program: try Command.find(settings.runtime, in: settings.searchPath),
                arguments: [
                    "--root", paths.runtimeRoot.string, "exec", "--process", file.string, "--pid-file", pidFile.string, id,
                ], environment: ["PATH": settings.searchPath])
            return try run(runtime, arguments[0], pidFile: pidFile, until: .now + timeout, cancellation)
        }
    }

    private func run(
        _ runtime: Command, _ program: String, pidFile: FilePath, until deadline: ContinuousClock.Instant, _ cancellation: Cancellation
    ) throws -> ProgramEnd {
        let input = try FileDescriptor.open("/dev/null", .readOnly, options: [.closeOnExec])
        defer { try? input.close() }
        let output = try Pipe()
        let errors = try Pipe()
        defer { output.closeReader(); errors.closeReader() }
        let pid: pid_t
        do {
            defer { output.closeWriter(); errors.closeWriter() }
            pid = try runtime.spawn(descriptors: [input.rawValue, output.writer, errors.writer])
        }
        let texts = Pipe.drain([output.reader, errors.reader], limit: 64 << 10, until: deadline, cancellation: cancellation)
        let isOver = ContinuousClock.now >= deadline || cancellation.isCancelled
        if isOver { end(runc: pid, pidFile: pidFile) }
        let code = Command.wait(pid)
        if cancellation.isCancelled { throw CancellationError() }
        let (said, complained) = (String(decoding: texts[0], as: UTF8.self), String(decoding: texts[1], as: UTF8.self))
        // runc notes the process as soon as the program runs.
        if !isOver, code != 0, !Files.exists(pidFile) { throw RuntimeWords(complained).error(command: program) }
        return ProgramEnd(code: isOver ? nil : code, output: said, errors: complained)
    }

    /// Kills the program's session, whose first process runc has noted, and then runc.
    private func end(runc: pid_t, pidFile: FilePath) {
        let patience = ContinuousClock.now + .seconds(2)
        while !Files.exists(pidFile), ContinuousClock.now < patience { usleep(5000) }
        // runc is its parent as long as it lives: the number may belong to another process by now.
        if let pid = ProcessRecord.pid(in: pidFile), Files.text(FilePath("/proc/\(pid)/status"))?.contains("\nPPid:\t\(runc)\n") == true {
            kill(-pid, SIGKILL)
            kill(pid, SIGKILL)
        }
        kill(runc, SIGKILL)
    }
}
