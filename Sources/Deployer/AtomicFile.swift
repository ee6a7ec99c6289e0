import Glibc
import SystemPackage

/// Whole small files, replaced by temp, fsync, rename, fsync of the folder.
enum AtomicFile {
    /// Blocks; call it on a `BlockingQueue`.
    static func write(_ bytes: [UInt8], to path: FilePath, permissions: FilePermissions = [.ownerReadWrite]) throws {
        let temporary = FilePath(path.string + ".new")
        let file = try FileDescriptor.open(
            temporary, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: permissions)
        try file.closeAfter {
            _ = try file.writeAll(bytes)
            try sync(file)
        }
        guard rename(temporary.string, path.string) == 0 else { throw Errno(rawValue: errno) }
        try syncFolder(of: path)
    }

    /// nil when there is no such file; throws when it is larger than `limit`.
    static func read(_ path: FilePath, limit: Int = 4 << 20) throws -> [UInt8]? {
        let file: FileDescriptor
        do {
            file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec])
        } catch Errno.noSuchFileOrDirectory {
            return nil
        }
        return try file.closeAfter {
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 16 << 10)
            while true {
                let count = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
                if count == 0 { return bytes }
                bytes.append(contentsOf: chunk[..<count])
                guard bytes.count <= limit else { throw Errno.fileTooLarge }
            }
        }
    }

    static func exists(_ path: FilePath) -> Bool { access(path.string, F_OK) == 0 }

    /// Gone also after the machine goes down; not there is fine.
    static func remove(_ path: FilePath) throws {
        guard unlink(path.string) == 0 else {
            if errno == ENOENT { return }
            throw Errno(rawValue: errno)
        }
        try syncFolder(of: path)
    }

    /// For its owner alone; there already is fine.
    static func makeFolder(_ path: FilePath) throws {
        guard mkdir(path.string, 0o700) == 0 || errno == EEXIST else { throw Errno(rawValue: errno) }
    }

    private static func syncFolder(of path: FilePath) throws {
        let folder = try FileDescriptor.open(path.removingLastComponent(), .readOnly, options: [.directory, .closeOnExec])
        try folder.closeAfter { try sync(folder) }
    }

    private static func sync(_ file: FileDescriptor) throws {
        guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
    }
}
