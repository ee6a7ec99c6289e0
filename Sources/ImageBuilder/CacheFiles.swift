import Glibc
import SystemPackage

/// Small files of a cache. Nothing depends on them being there: what cannot be read counts as absent, what cannot be written
/// (a full disk, a read-only store) is done again next time. So neither throws. Blocking.
enum CacheFiles {
    static func read(_ path: FilePath, limit: Int) -> [UInt8]? {
        let descriptor = path.withPlatformString { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size <= limit else { return nil }
        let size = Int(status.st_size)
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
            while filled < size, let start = buffer.baseAddress {
                let count = Glibc.read(descriptor, start.advanced(by: filled), size - filled)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { break }
                filled += count
            }
        }
        return bytes.count == size ? bytes : nil
    }

    /// Replaces the file in one step. Not synced: readers verify what they find.
    static func write(_ bytes: [UInt8], to path: FilePath) {
        let folder = path.removingLastComponent()
        let temporary = folder.appending("tmp-\(UInt64.random(in: 0 ... .max))")
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC
        var descriptor = temporary.withPlatformString { open($0, flags, 0o600) }
        if descriptor < 0 && errno == ENOENT {
            guard createFolder(folder) else { return }
            descriptor = temporary.withPlatformString { open($0, flags, 0o600) }
        }
        guard descriptor >= 0 else { return }
        var written = 0
        bytes.withUnsafeBytes { buffer in
            while written < buffer.count, let start = buffer.baseAddress {
                let count = Glibc.write(descriptor, start.advanced(by: written), buffer.count - written)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { break }
                written += count
            }
        }
        let isWhole = close(descriptor) == 0 && written == bytes.count
        let isInPlace =
            isWhole && temporary.withPlatformString { from in path.withPlatformString { rename(from, $0) } } == 0
        if !isInPlace { _ = temporary.withPlatformString { unlink($0) } }
    }

    static func remove(_ path: FilePath) { _ = path.withPlatformString { unlink($0) } }

    private static func createFolder(_ path: FilePath) -> Bool {
        if path.withPlatformString({ mkdir($0, 0o700) }) == 0 || errno == EEXIST { return true }
        guard errno == ENOENT, path.lastComponent != nil, createFolder(path.removingLastComponent()) else { return false }
        return path.withPlatformString { mkdir($0, 0o700) } == 0 || errno == EEXIST
    }
}
