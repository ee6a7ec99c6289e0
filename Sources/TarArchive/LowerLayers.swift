import CLibarchive
import Glibc
public import SystemPackage

/// The unpacked layers an image has below the one being unpacked, as overlayfs would show them. Nobody changes them.
public struct LowerLayers: Sendable {
    /// Topmost first.
    public let folders: [FilePath]

    public init(folders: [FilePath]) { self.folders = folders }

    /// What stands at a path none of whose folders is a link; nil when there is nothing or it is whited out. Blocking.
    func find(_ names: [FilePath.Component]) throws -> LowerFile? {
        guard let last = names.last else { return nil }
        layers: for path in folders {
            var folder = try OpenFile(path, O_RDONLY | O_DIRECTORY)
            var hidesBelow = OverlayMark.isOpaque(folder.descriptor)
            for name in names.dropLast() {
                let next = name.withPlatformString {
                    openat(folder.descriptor, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                }
                guard next >= 0 else {
                    // A file, a link or a whiteout hides what lower layers have there.
                    guard errno == ENOENT, !hidesBelow else { return nil }
                    continue layers
                }
                folder = OpenFile(adopting: next)
                if OverlayMark.isOpaque(next) { hidesBelow = true }
            }
            var status = stat()
            if last.withPlatformString({ fstatat(folder.descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 {
                if status.isWhiteout { return nil }
                return LowerFile(folder: folder, name: last, status: status)
            }
            guard errno == ENOENT else { throw systemFailure("look at", last.string) }
            if hidesBelow { return nil }
        }
        return nil
    }
}

/// A file, folder or link of a lower layer.
struct LowerFile: ~Copyable {
    let folder: OpenFile
    let name: FilePath.Component
    let status: stat

    var isFolder: Bool { status.st_mode & S_IFMT == S_IFDIR }

    /// Where a symbolic link leads; nil for everything else.
    var link: FilePath? {
        status.st_mode & S_IFMT == S_IFLNK ? ExtractionRoot.readLink(folder.descriptor, name) : nil
    }

    /// Gives an open folder or file the owner, mode and attributes of this one.
    func describe(_ descriptor: Int32, asRoot: Bool) throws {
        let own = OpenFile(adopting: name.withPlatformString { openat(folder.descriptor, $0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) })
        guard own.descriptor >= 0 else { throw systemFailure("open", name.string) }
        if asRoot, fchown(descriptor, status.st_uid, status.st_gid) != 0 { throw systemFailure("set the owner of", name.string) }
        guard fchmod(descriptor, status.st_mode & 0o7777) == 0 else { throw systemFailure("set the mode of", name.string) }
        for (key, value) in ExtendedAttributes.kept(of: own.descriptor) {
            guard fsetxattr(descriptor, key, value, value.count, 0) == 0 else { throw systemFailure("set \(key) of", name.string) }
        }
    }

    /// Copies a regular file or a symbolic link, everything kept, to a name that is free.
    func copy(to target: Int32, asRoot: Bool) throws {
        switch status.st_mode & S_IFMT {
        case S_IFREG: try copyFile(to: target, asRoot: asRoot)
        case S_IFLNK:
            guard let link, name.withPlatformString({ name in link.withPlatformString { symlinkat($0, target, name) } }) == 0 else {
                throw systemFailure("copy", name.string)
            }
            if asRoot, name.withPlatformString({ fchownat(target, $0, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) }) != 0 {
                throw systemFailure("set the owner of", name.string)
            }
            let times = [status.st_mtim, status.st_mtim]
            guard name.withPlatformString({ utimensat(target, $0, times, AT_SYMLINK_NOFOLLOW) }) == 0 else {
                throw systemFailure("set the time of", name.string)
            }
        default:
            throw TarError(
                code: .invalidArchive, message: "a hard link leads to '\(name)' of a lower layer, which is neither a file nor a link",
                hint: "build the image again with the file in the same layer")
        }
    }

    private func copyFile(to target: Int32, asRoot: Bool) throws {
        let source = OpenFile(adopting: name.withPlatformString { openat(folder.descriptor, $0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) })
        let copy = OpenFile(
            adopting: name.withPlatformString { openat(target, $0, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600) })
        guard source.descriptor >= 0, copy.descriptor >= 0 else { throw systemFailure("copy", name.string) }
        var left = Int(status.st_size)
        while left > 0 {
            let count = copy_file_range(source.descriptor, nil, copy.descriptor, nil, left, 0)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EXDEV || errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP {
                try copyBytes(source.descriptor, copy.descriptor)
                break
            }
            guard count > 0 else { throw systemFailure("copy", name.string, count == 0 ? EIO : errno) }
            left -= count
        }
        try describe(copy.descriptor, asRoot: asRoot)
        guard futimens(copy.descriptor, [status.st_mtim, status.st_mtim]) == 0 else { throw systemFailure("set the time of", name.string) }
    }

    private func copyBytes(_ source: Int32, _ target: Int32) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { buffer.deallocate() }
        while true {
            let count = try readFully(source, buffer, name: name.string)
            try writeAll(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: target, name: name.string)
            if count < buffer.count { return }
        }
    }
}

extension stat {
    /// A character device 0:0: overlayfs shows nothing there.
    var isWhiteout: Bool { st_mode & S_IFMT == S_IFCHR && st_rdev == 0 }
}
