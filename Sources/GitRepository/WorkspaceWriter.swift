import Glibc
import SystemPackage

/// Writes below one folder without ever following a symbolic link: every folder is made here, opened with `O_NOFOLLOW` and kept open;
/// every file is new (`O_EXCL`) and named relative to its folder.
struct WorkspaceWriter: ~Copyable {
    private var folders: [Int32]
    private let time: timespec

    /// - Parameters:
    ///   - folder: made when missing; must be empty.
    ///   - time: the modification time of all that is written, in seconds since 1970.
    init(folder: FilePath, time: Int64) throws {
        try makeFolders(folder)
        guard names(in: folder).isEmpty else {
            throw GitError(.fileSystem, "the folder '\(folder)' is not empty", hint: "export into a new or empty folder")
        }
        let root = open(folder.string, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard root >= 0 else { throw GitError(system: errno, "cannot open the folder '\(folder)'") }
        folders = [root]
        self.time = timespec(tv_sec: Int(time), tv_nsec: 0)
    }

    deinit {
        for folder in folders { close(folder) }
    }

    private var current: Int32 { folders.last ?? -1 }

    /// Makes a folder and goes into it.
    mutating func enter(_ name: EntryName) throws {
        let parent = current
        let folder = try name.withCString { text in
            guard mkdirat(parent, text, 0o755) == 0 else { throw failure(name) }
            let folder = openat(parent, text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard folder >= 0 else { throw failure(name) }
            return folder
        }
        folders.append(folder)
        guard fchmod(folder, 0o755) == 0 else { throw failure(name) }
    }

    /// Goes back to the folder above, or ends when this was the first one.
    mutating func leave() throws {
        guard let folder = folders.popLast() else { return }
        defer { close(folder) }
        let times = [time, time]
        guard futimens(folder, times) == 0 else { throw GitError(system: errno, "cannot set the time of a folder") }
    }

    func file(_ name: EntryName, _ content: UnsafeRawBufferPointer, executable: Bool) throws {
        let mode: mode_t = executable ? 0o755 : 0o644
        let file = name.withCString { openat(current, $0, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode) }
        guard file >= 0 else { throw failure(name) }
        defer { close(file) }
        var rest = content[...]
        while !rest.isEmpty {
            let written = write(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw failure(name) }
            rest = rest.dropFirst(written)
        }
        let times = [time, time]
        guard fchmod(file, mode) == 0, futimens(file, times) == 0 else { throw failure(name) }
    }

    func symlink(_ name: EntryName, target: [UInt8]) throws {
        let times = [time, time]
        let done = name.withCString { text in
            EntryName(bytes: target).withCString { symlinkat($0, current, text) } == 0
                && utimensat(current, text, times, AT_SYMLINK_NOFOLLOW) == 0
        }
        guard done else { throw failure(name) }
    }

    private func failure(_ name: EntryName) -> GitError {
        let number = errno
        guard number != EEXIST else {
            return GitError(.refused, "'\(name.shown)' is twice in one folder", hint: "the tree is malformed; check the repository with 'git fsck'")
        }
        return GitError(system: number, "cannot write '\(name.shown)'")
    }
}

extension EntryName {
    func withCString<R>(_ use: (UnsafePointer<CChar>) throws -> R) rethrows -> R {
        try (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return try use("") }
            return try use(start)
        }
    }
}
