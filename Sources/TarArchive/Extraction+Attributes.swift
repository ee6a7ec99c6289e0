import CLibarchive
import Glibc
import SystemPackage

/// Owner, mode, extended attributes, time: in this order, as each resets what follows.
extension Extraction {
    func describe(_ descriptor: Int32, _ entry: TarReader.Entry) throws {
        let shown = entry.path.string
        if asRoot, fchown(descriptor, entry.uid, entry.gid) != 0 { throw systemFailure("set the owner of", shown) }
        guard fchmod(descriptor, mode_t(entry.mode)) == 0 else { throw systemFailure("set the mode of", shown) }
        for (name, value) in entry.xattrs where ExtendedAttributes.isKept(name) {
            if fsetxattr(descriptor, name, value, value.count, 0) == 0 { continue }
            // Not every file system keeps user attributes; a lost capability would change what a program may do.
            if name != "security.capability" && (errno == ENOTSUP || errno == EPERM) { continue }
            if !asRoot && errno == EPERM { continue }
            throw systemFailure("set \(name) of", shown)
        }
    }

    func describeUnopened(_ parent: Int32, _ name: FilePath.Component, _ entry: TarReader.Entry, mode: Bool) throws {
        try name.withPlatformString { path in
            if asRoot, fchownat(parent, path, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0 {
                throw systemFailure("set the owner of", entry.path.string)
            }
            if mode, fchmodat(parent, path, mode_t(entry.mode), 0) != 0 {
                throw systemFailure("set the mode of", entry.path.string)
            }
            guard utimensat(parent, path, [entry.timespec, entry.timespec], AT_SYMLINK_NOFOLLOW) == 0 else {
                throw systemFailure("set the time of", entry.path.string)
            }
        }
    }

    func setTimes(_ descriptor: Int32, _ time: timespec) -> Bool { futimens(descriptor, [time, time]) == 0 }
}

extension TarReader.Entry {
    var timespec: timespec { Glibc.timespec(tv_sec: Int(time), tv_nsec: timeNanoseconds) }
}

/// What is set on folders last: their times, which every file made inside changes, and, for who is not root, modes
/// that would forbid to make files inside.
final class FolderDescriptions {
    private struct Inode: Hashable {
        let device: dev_t
        let number: ino_t
    }

    private struct Description {
        let real: [FilePath.Component]
        let time: timespec
        let mode: UInt16?
    }

    private let asRoot: Bool
    private var found: [Inode: Description] = [:]

    init(asRoot: Bool) { self.asRoot = asRoot }

    /// The last description of a folder counts.
    func add(_ real: [FilePath.Component], _ descriptor: Int32, _ time: timespec, mode: UInt16?) throws {
        found[try Self.inode(descriptor)] = Description(real: real, time: time, mode: mode)
        if let mode, !asRoot, mode & 0o700 != 0o700, fchmod(descriptor, mode_t(mode | 0o700)) != 0 {
            throw systemFailure("set the mode of", real.last?.string ?? "/")
        }
    }

    /// Deepest first, as modes may close the way.
    func apply(in root: ExtractionRoot) throws {
        for (inode, description) in found.sorted(by: { $0.value.real.count > $1.value.real.count }) {
            // A later entry may have replaced the folder by something else.
            guard let descriptor = root.existing(description.real) else { continue }
            let folder = OpenFile(adopting: descriptor)
            guard try Self.inode(folder.descriptor) == inode else { continue }
            let name = description.real.last?.string ?? "/"
            if let mode = description.mode, !asRoot, fchmod(folder.descriptor, mode_t(mode)) != 0 {
                throw systemFailure("set the mode of", name)
            }
            guard futimens(folder.descriptor, [description.time, description.time]) == 0 else {
                throw systemFailure("set the time of", name)
            }
        }
    }

    private static func inode(_ descriptor: Int32) throws -> Inode {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw systemFailure("look at", "a folder") }
        return Inode(device: status.st_dev, number: status.st_ino)
    }
}
