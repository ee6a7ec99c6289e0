import CLibarchive
import Glibc
import SystemPackage

/// Removes what an image brought along, of any depth, with one open folder at a time, following no link.
enum FolderRemoval {
    private struct Inode: Equatable {
        let device: dev_t
        let number: ino_t

        init(_ descriptor: Int32, _ name: String) throws {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw systemFailure("look at", name) }
            device = status.st_dev
            number = status.st_ino
        }
    }

    /// Removes a name, whatever it is, with everything below. Nothing there is fine.
    static func remove(_ folder: Int32, _ name: FilePath.Component) throws {
        if try unlink(folder, name) { return }
        // The way down, for the way back up: `..` must be the folder we came from.
        var way: [(name: FilePath.Component, parent: Inode)] = [(name, try Inode(folder, "."))]
        var current = try open(folder, name)
        defer { close(current) }
        while let (name, parent) = way.last {
            if let child = try emptied(current) {
                let inode = try Inode(current, child.string)
                let next = try open(current, child)
                close(current)
                current = next
                way.append((child, inode))
                continue
            }
            let above = openat(current, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard above >= 0 else { throw systemFailure("remove", name.string) }
            close(current)
            current = above
            guard try Inode(current, name.string) == parent else {
                throw TarError(
                    code: .fileSystem, message: "cannot remove \(name): its folder was moved meanwhile",
                    hint: "let nothing else work in the data directory")
            }
            guard name.withPlatformString({ unlinkat(current, $0, AT_REMOVEDIR) }) == 0 else {
                throw systemFailure("remove", name.string)
            }
            way.removeLast()
        }
    }

    /// Removes the files in a folder until it is empty (nil) or a folder is met.
    private static func emptied(_ folder: Int32) throws -> FilePath.Component? {
        // A description of its own, so that reading starts at the beginning.
        let copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let listing = fdopendir(copy) else {
            let code = errno
            if copy >= 0 { close(copy) }
            throw systemFailure("remove", "a folder", code)
        }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let child = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { FilePath.Component(platformString: $0) }
            }
            guard let child, child.kind == .regular else { continue }
            if try !unlink(folder, child) { return child }
        }
        return nil
    }

    /// False when the name is a folder.
    private static func unlink(_ folder: Int32, _ name: FilePath.Component) throws -> Bool {
        let code: Int32 = name.withPlatformString { unlinkat(folder, $0, 0) == 0 ? 0 : errno }
        if code == 0 || code == ENOENT { return true }
        guard code == EISDIR || code == EPERM else { throw systemFailure("remove", name.string, code) }
        return false
    }

    private static func open(_ folder: Int32, _ name: FilePath.Component) throws -> Int32 {
        let inner = name.withPlatformString { openat(folder, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
        guard inner >= 0 else { throw systemFailure("remove", name.string) }
        return inner
    }
}
