import Glibc
import SystemPackage
import TarArchive

/// A root file system on disk as archive entries, owners, modes, times, hard links and capabilities kept.
enum RootFolder {
    /// Blocking. Stays on the folder's own file system; sockets are left out.
    static func entries(_ root: FilePath) throws -> [TarEntry] {
        var status = stat()
        guard root.withPlatformString({ stat($0, &status) }) == 0 else { throw Files.failure("read", root) }
        var entries: [TarEntry] = []
        try walk(root, "", status.st_dev, &entries)
        var sorted = entries.sortedForArchive()
        // The first name of a file in archive order carries the content, the others link to it.
        var first: [Inode: String] = [:]
        for index in sorted.indices {
            guard case .file(let path) = sorted[index].content else { continue }
            var status = stat()
            guard path.withPlatformString({ lstat($0, &status) }) == 0 else { throw Files.failure("read", path) }
            guard status.st_nlink > 1 else { continue }
            let inode = Inode(device: status.st_dev, number: status.st_ino)
            if let name = first[inode] { sorted[index].content = .hardlink(name) } else { first[inode] = sorted[index].path }
        }
        return sorted
    }

    private struct Inode: Hashable {
        let device: dev_t
        let number: ino_t
    }

    private static func walk(_ folder: FilePath, _ prefix: String, _ device: dev_t, _ entries: inout [TarEntry]) throws {
        for name in try Files.names(in: folder) ?? [] {
            let path = folder.appending(name)
            let inside = prefix.isEmpty ? name : "\(prefix)/\(name)"
            var status = stat()
            guard path.withPlatformString({ lstat($0, &status) }) == 0 else { throw Files.failure("read", path) }
            guard !name.hasPrefix(".wh.") else {
                throw ImageStoreError(code: .invalidImage, message: "\(path) would be a whiteout in a layer", hint: "rename it")
            }
            let content: TarEntry.Content
            switch status.st_mode & S_IFMT {
            case S_IFDIR: content = .directory
            case S_IFREG: content = .file(path)
            case S_IFLNK: content = .symlink(try target(path))
            case S_IFIFO: content = .fifo
            // Device nodes and sockets belong to the running system, not to an image.
            default: continue
            }
            entries.append(
                TarEntry(
                    path: inside, content: content, mode: UInt16(status.st_mode & 0o7777), uid: Int(status.st_uid),
                    gid: Int(status.st_gid), time: Int64(status.st_mtim.tv_sec), xattrs: capability(path, status)))
            if case .directory = content, status.st_dev == device { try walk(path, inside, device, &entries) }
        }
    }

    private static func target(_ path: FilePath) throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = path.withPlatformString { readlink($0, &buffer, Int(PATH_MAX)) }
        guard count > 0 else { throw Files.failure("read link", path) }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func capability(_ path: FilePath, _ status: stat) -> [String: [UInt8]] {
        guard status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o111 != 0 else { return [:] }
        return ExtendedAttributes.read("security.capability", of: path).map { ["security.capability": $0] } ?? [:]
    }
}
