import BlockingQueue
import CLinux
import Glibc
import SystemPackage

/// A child process by `posix_spawn`: no descriptor of ours but the named ones reaches it, its signals are the defaults.
struct Command {
    struct Output {
        /// Exit code, or 128 + signal.
        var code: Int32
        var output: String
        var errors: String
    }

    var program: String
    var arguments: [String]
    var environment: [String: String]
    var folder: FilePath?

    /// Resolves a bare name in a `PATH`-like list.
    static func find(_ name: String, in searchPath: String) throws(ContainerError) -> String {
        let candidates =
            name.contains("/") ? [name] : searchPath.split(separator: ":").map { "\($0)/\(name)" }
        for candidate in candidates where access(candidate, X_OK) == 0 { return candidate }
        throw ContainerError.missing(name)
    }

    /// Starts the program. `descriptors[i]` becomes its descriptor i, everything above is closed.
    func spawn(descriptors: [Int32], newSession: Bool = false) throws(ContainerError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        for (target, source) in descriptors.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, source, Int32(target))
        }
        _ = posix_spawn_file_actions_addclosefrom_np(&actions, Int32(descriptors.count))
        if let folder { _ = posix_spawn_file_actions_addchdir_np(&actions, folder.string) }
        var all = sigset_t()
        var none = sigset_t()
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        var flags = Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK)
        if newSession { flags |= clinux_POSIX_SPAWN_SETSID }
        posix_spawnattr_setflags(&attributes, flags)

        var argv = ([program] + arguments).map { strdup($0) } + [nil]
        var envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid = pid_t()
        let result = posix_spawn(&pid, program, &actions, &attributes, &argv, &envp)
        if result == ENOENT || result == EACCES { throw ContainerError.missing(program) }
        guard result == 0 else {
            throw ContainerError(.runtimeFailed, "cannot start \(program): \(Errno(rawValue: result))")
        }
        return pid
    }

    /// Waits for a child; 128 + signal when one ended it.
    static func wait(_ pid: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 { if errno != EINTR { return -1 } }
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }

    /// Runs to the end, with `input` (a file) or nothing on its standard input. Killed after `timeout` seconds.
    func run(input: FilePath? = nil, timeout: Int = 60) throws(ContainerError) -> Output {
        let path: FilePath = input ?? "/dev/null"
        let stdin: FileDescriptor
        do { stdin = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec]) } catch {
            throw ContainerError.file("open", path, error)
        }
        defer { try? stdin.close() }
        let output = try Pipe()
        let errors = try Pipe()
        defer { output.closeReader(); errors.closeReader() }
        let pid: pid_t
        do {
            defer { output.closeWriter(); errors.closeWriter() }
            pid = try spawn(descriptors: [stdin.rawValue, output.writer, errors.writer])
        }
        let deadline = ContinuousClock.now + .seconds(timeout)
        let texts = Pipe.drain([output.reader, errors.reader], limit: 1 << 20, until: deadline)
        if ContinuousClock.now >= deadline { kill(pid, SIGKILL) }
        let code = Self.wait(pid)
        if ContinuousClock.now >= deadline {
            throw ContainerError(.timedOut, "\(program) did not end within \(timeout) s")
        }
        return Output(
            code: code, output: String(decoding: texts[0], as: UTF8.self),
            errors: String(decoding: texts[1], as: UTF8.self))
    }
}

/// A pipe whose ends are not inherited by accident.
struct Pipe {
    let reader: Int32
    let writer: Int32

    init() throws(ContainerError) {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else {
            throw ContainerError(.runtimeFailed, "cannot make a pipe: \(Errno(rawValue: errno))")
        }
        (reader, writer) = (ends[0], ends[1])
    }

    func closeReader() { close(reader) }
    func closeWriter() { close(writer) }

    /// Reads every descriptor to its end or the deadline; keeps the first `limit` bytes of each, drops the rest.
    /// With `line`, stops at the first newline; with `cancellation`, within 50 ms after it.
    static func drain(
        _ descriptors: [Int32], limit: Int, until deadline: ContinuousClock.Instant, line: Bool = false, cancellation: Cancellation? = nil
    ) -> [[UInt8]] {
        var results = [[UInt8]](repeating: [], count: descriptors.count)
        var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while polled.contains(where: { $0.fd >= 0 }) {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero, cancellation?.isCancelled != true else { break }
            let whole = Int32(clamping: left.components.seconds * 1000 + 1 + left.components.attoseconds / 1_000_000_000_000_000)
            let milliseconds = cancellation == nil ? whole : min(whole, 50)
            if poll(&polled, nfds_t(polled.count), milliseconds) < 0 && errno != EINTR { break }
            for index in polled.indices where polled[index].fd >= 0 && polled[index].revents != 0 {
                let count = Glibc.read(polled[index].fd, &chunk, chunk.count)
                if count > 0 {
                    results[index] += chunk[..<min(count, limit - results[index].count)]
                    if line, chunk[..<count].contains(0x0a) { return results }
                } else if count == 0 || errno != EINTR {
                    polled[index].fd = -1
                }
            }
        }
        return results
    }
}
