import FoundationEssentials
import Glibc
import SystemPackage

/// Small blocking file operations; all of them run on the runtime's blocking queue.
enum Files {
    static func exists(_ path: FilePath) -> Bool { access(path.string, F_OK) == 0 }

    /// The first `limit` bytes; nil when there is no such file.
    static func read(_ path: FilePath, limit: Int = 1 << 20) throws(ContainerError) -> [UInt8]? {
        do {
            let file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec])
            return try file.closeAfter { try readAll(file, limit: limit) }
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch {
            throw ContainerError.file("read", path, error)
        }
    }

    static func readAll(_ file: FileDescriptor, limit: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count < limit {
            let count = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
            if count == 0 { break }
            bytes += chunk[..<min(count, limit - bytes.count)]
        }
        return bytes
    }

    static func text(_ path: FilePath, limit: Int = 64 << 10) -> String? {
        guard let bytes = try? read(path, limit: limit) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Replaces `path` by temp + rename. Not flushed to disk: what a container's files describe does not survive the
    /// machine either, and a file that is unreadable afterwards counts as absent.
    static func write(_ bytes: [UInt8], to path: FilePath, mode: FilePermissions = [.ownerReadWrite]) throws(ContainerError) {
        let temporary = FilePath(path.string + ".new")
        do {
            let file = try FileDescriptor.open(
                temporary, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: mode)
            try file.closeAfter { _ = try file.writeAll(bytes) }
            guard rename(temporary.string, path.string) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            throw ContainerError.file("write", path, error)
        }
    }

    static func write(_ value: some Encodable, to path: FilePath) throws(ContainerError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let data: Data
        do { data = try encoder.encode(value) } catch { throw ContainerError.file("encode", path, error) }
        try write([UInt8](data), to: path)
    }

    /// nil when the file is absent or not what was expected (half-written before the machine went down).
    static func decode<T: Decodable>(_ type: T.Type, from path: FilePath) -> T? {
        guard let bytes = try? read(path, limit: 16 << 20) else { return nil }
        return try? JSONDecoder().decode(type, from: Data(bytes))
    }

    static func makeFolder(_ path: FilePath, mode: mode_t = 0o700) throws(ContainerError) {
        if mkdir(path.string, mode) == 0 || errno == EEXIST { return }
        let parent = path.removingLastComponent()
        guard errno == ENOENT, parent != path, !parent.isEmpty else {
            throw ContainerError.file("make folder", path, Errno(rawValue: errno))
        }
        try makeFolder(parent, mode: mode)
        guard mkdir(path.string, mode) == 0 || errno == EEXIST else {
            throw ContainerError.file("make folder", path, Errno(rawValue: errno))
        }
    }

    /// Removes a tree; not there is fine.
    static func removeTree(_ path: FilePath) throws(ContainerError) {
        if unlink(path.string) == 0 || errno == ENOENT { return }
        do {
            try FileManager.default.removeItem(atPath: path.string)
        } catch {
            if exists(path) { throw ContainerError.file("remove", path, error) }
        }
    }

    /// What a symbolic link names; nil when there is none.
    static func target(of link: FilePath) -> FilePath? {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: link.string)).map { FilePath($0) }
    }

    static func names(in folder: FilePath) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder.string)) ?? []
    }
}
