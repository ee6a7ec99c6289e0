import BlockingQueue
import Glibc
import SystemPackage

/// How long a lock is waited for, and whether anybody still wants it.
struct Patience {
    let limit: Duration
    var cancellation = Cancellation()
}

extension Files {
    /// Holds an exclusive lock on `path` while `body` runs; the lock file is gone afterwards. Works between
    /// processes, and is released by the kernel when the holder dies.
    static func withLock<T>(_ path: FilePath, _ patience: Patience, _ body: () throws -> T) throws -> T {
        while true {
            let file: FileDescriptor
            do {
                file = try FileDescriptor.open(
                    path, .readWrite, options: [.create, .closeOnExec], permissions: [.ownerReadWrite])
            } catch { throw ContainerError.file("open lock", path, error) }
            do { try lock(file, LOCK_EX, path, patience) } catch {
                try? file.close()
                throw error
            }
            // The previous holder may have removed the file that we waited for.
            var ours = stat()
            var named = stat()
            if fstat(file.rawValue, &ours) == 0, stat(path.string, &named) == 0, ours.st_ino == named.st_ino {
                defer {
                    unlink(path.string)
                    try? file.close()
                }
                return try body()
            }
            try? file.close()
        }
    }

    /// flock(2) with an end to the waiting.
    ///
    /// - Parameter kind: `LOCK_SH` or `LOCK_EX`.
    /// - Throws: `.busy`, naming the process that has the lock; `CancellationError`.
    static func lock(_ file: FileDescriptor, _ kind: Int32, _ path: FilePath, _ patience: Patience) throws {
        let deadline = ContinuousClock.now + patience.limit
        var pause: useconds_t = 250
        while flock(file.rawValue, kind | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            guard errno == EWOULDBLOCK else { throw ContainerError.file("lock", path, Errno(rawValue: errno)) }
            if patience.cancellation.isCancelled { throw CancellationError() }
            guard ContinuousClock.now < deadline else { throw busy(file, path, patience.limit) }
            usleep(pause)
            pause = min(pause * 2, 20_000)
        }
    }

    private static func busy(_ file: FileDescriptor, _ path: FilePath, _ limit: Duration) -> ContainerError {
        let what = path.lastComponent?.string ?? path.string
        let waited = "for longer than \(limit.components.seconds) s"
        guard let pid = lockHolder(of: file) else {
            return ContainerError(.busy, "another process works on \(what) \(waited)", hint: "it is tried again")
        }
        let name = text(FilePath("/proc/\(pid)/comm"))?.filter { $0 != "\n" } ?? "gone"
        return ContainerError(
            .busy, "process \(pid) (\(name)) works on \(what) \(waited)",
            hint: "it is tried again; if that process was stopped, let it go on (kill -CONT \(pid)) or end it (kill -KILL \(pid))")
    }

    /// The process that has a lock on the file, from proc(5), `/proc/locks`; nil when that is not known.
    static func lockHolder(of file: FileDescriptor) -> Int32? {
        var status = stat()
        guard fstat(file.rawValue, &status) == 0, let locks = text("/proc/locks", limit: 1 << 20) else { return nil }
        for line in locks.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count > 5, words[1] == "FLOCK", words[5].hasSuffix(":\(status.st_ino)"), let pid = Int32(words[4]), pid > 0
            else { continue }
            return pid
        }
        return nil
    }

    /// The names in an open folder, also when it was removed.
    static func names(in folder: FileDescriptor, _ path: FilePath) throws(ContainerError) -> [String] {
        let again = openat(folder.rawValue, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // A folder that was removed has no "." any more.
        if again < 0, errno == ENOENT { return [] }
        guard again >= 0, let entries = fdopendir(again) else {
            if again >= 0 { close(again) }
            throw ContainerError.file("read", path, Errno(rawValue: errno))
        }
        defer { closedir(entries) }
        var names: [String] = []
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
