import BlockingQueue
import Glibc
import SystemPackage

/// Runs `body` while holding an exclusive `flock(2)` on a folder, which is made when missing.
///
/// The lock orders fetches inside this process and between processes, and the kernel drops it when the holder dies: there is no stale
/// lock to repair.
func withFolderLock<R>(_ folder: FilePath, _ cancellation: Cancellation, _ body: () throws -> R) throws -> R {
    while true {
        try makeFolders(folder)
        let descriptor = open(folder.string, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { continue }
        guard descriptor >= 0 else { throw GitError(system: errno, "cannot open the folder '\(folder)'") }
        defer { close(descriptor) }
        // A plain blocking flock could not be cancelled.
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw GitError(system: errno, "cannot lock the folder '\(folder)'") }
            if cancellation.isCancelled { throw CancellationError() }
            usleep(10_000)
        }
        // Whoever had it may have moved it away.
        if isNamed(folder, descriptor) { return try body() }
    }
}

private func isNamed(_ folder: FilePath, _ descriptor: Int32) -> Bool {
    var ours = stat()
    var named = stat()
    return fstat(descriptor, &ours) == 0 && stat(folder.string, &named) == 0 && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev
}

/// `mkdir -p`, for this user only.
func makeFolders(_ folder: FilePath) throws(GitError) {
    if mkdir(folder.string, 0o700) == 0 || errno == EEXIST { return }
    let parent = folder.removingLastComponent()
    guard errno == ENOENT, parent != folder, !parent.isEmpty else { throw GitError(system: errno, "cannot make the folder '\(folder)'") }
    try makeFolders(parent)
    guard mkdir(folder.string, 0o700) == 0 || errno == EEXIST else { throw GitError(system: errno, "cannot make the folder '\(folder)'") }
}

/// The names in a folder, without `.` and `..`; empty when it cannot be read.
func names(in folder: FilePath) -> [String] {
    guard let stream = opendir(folder.string) else { return [] }
    defer { closedir(stream) }
    var found: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { found.append(name) }
    }
    return found
}

extension GitError {
    /// A failed system call.
    init(system number: Int32, _ operation: String) {
        self.init(
            .fileSystem, "\(operation): \(Errno(rawValue: number))",
            hint: number == ENOSPC || number == EDQUOT ? "free some disk space" : "check the folder and its permissions")
    }
}
