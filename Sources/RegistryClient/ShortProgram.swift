import BlockingQueue
import CLinux
import Glibc

/// A program that gets a line, prints little and ends soon. It, and what it started, is killed when it does not. Blocking.
struct ShortProgram {
    let name: String
    /// Where it is looked for, as in `PATH`.
    let path: String
    let timeout: Duration
    /// Bytes it may print.
    let outputLimit: Int

    enum Ending: Sendable, Hashable {
        /// With its exit status, or 128 and the number of the signal that ended it.
        case exited(Int32, output: [UInt8])
        case notInstalled
        case notStarted(String)
        case tooSlow
        case tooLong
    }

    /// - Parameter input: at most a few kilobytes.
    func run(_ arguments: [String], input: String, _ cancellation: Cancellation) throws -> Ending {
        guard let file = path.split(separator: ":").map({ String($0) + "/" + name }).first(where: { access($0, X_OK) == 0 }) else {
            return .notInstalled
        }
        guard let stdin = Pipe(), let stdout = Pipe() else { return .notStarted(String(cString: strerror(errno))) }
        // The pipe holds it all; a program that does not read cannot hold us up.
        _ = Array(input.utf8.prefix(4096)).withUnsafeBytes { write(stdin.writing, $0.baseAddress, $0.count) }
        stdin.closeWriting()
        let started: pid_t
        switch spawn(file, arguments, stdin.reading, stdout.writing) {
        case .success(let pid): started = pid
        case .failure(let error): return .notStarted(String(cString: strerror(error.code)))
        }
        stdout.closeWriting()
        let (output, problem) = collect(stdout.reading, cancellation)
        if problem != nil || cancellation.isCancelled { kill(-started, SIGKILL) }
        var status: Int32 = 0
        while waitpid(started, &status, 0) < 0, errno == EINTR {}
        if cancellation.isCancelled { throw CancellationError() }
        let signal = status & 0x7f
        return problem ?? .exited(signal == 0 ? (status >> 8) & 0xff : 128 + signal, output: output)
    }

    private func collect(_ descriptor: Int32, _ cancellation: Cancellation) -> ([UInt8], Ending?) {
        let deadline = ContinuousClock.now + timeout
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !cancellation.isCancelled {
            guard ContinuousClock.now < deadline else { return (output, .tooSlow) }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&wanted, 1, 50) > 0 else { continue }
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            output += buffer.prefix(count)
            guard output.count <= outputLimit else { return ([], .tooLong) }
        }
        return (output, nil)
    }

    private struct SpawnError: Error { let code: Int32 }

    /// In a process group of its own, with our environment, and without our open files.
    private func spawn(_ file: String, _ arguments: [String], _ input: Int32, _ output: Int32) -> Result<pid_t, SpawnError> {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        posix_spawnattr_setpgroup(&attributes, 0)
        var words: [UnsafeMutablePointer<CChar>?] = ([file] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, file, &actions, &attributes, &words, environ)
        return code == 0 ? .success(pid) : .failure(SpawnError(code: code))
    }

    /// Two ends, each closed once.
    private final class Pipe {
        let reading: Int32
        private(set) var writing: Int32

        init?() {
            var ends: [Int32] = [-1, -1]
            guard pipe2(&ends, O_CLOEXEC) == 0 else { return nil }
            (reading, writing) = (ends[0], ends[1])
        }

        func closeWriting() {
            if writing >= 0 { close(writing) }
            writing = -1
        }

        deinit {
            close(reading)
            closeWriting()
        }
    }
}
