import Glibc
import OCIModel
import SystemPackage

/// The few file operations the store needs, each throwing `ImageStoreError`. Blocking: call on a `BlockingQueue`.
enum Files {
    /// An open descriptor, closed once when it goes out of scope.
    struct Handle: ~Copyable {
        let descriptor: Int32
        private var isLocked = false

        init(_ descriptor: Int32) { self.descriptor = descriptor }

        /// flock(2); false with `errno`. The lock ends with the handle: closing alone would leave it to a program that is just being
        /// started, which has a copy of the descriptor until its exec.
        mutating func lock(_ operation: Int32) -> Bool {
            isLocked = flock(descriptor, operation) == 0
            return isLocked
        }

        deinit {
            if isLocked { flock(descriptor, LOCK_UN) }
            close(descriptor)
        }
    }

    static func failure(_ action: String, _ path: FilePath, _ code: Int32 = errno) -> ImageStoreError {
        let reason = String(cString: strerror(code))
        let hint =
            switch code {
            case ENOSPC, EDQUOT: "free some disk space"
            case EACCES, EPERM: "check who owns the data directory"
            case EROFS: "the data directory is on a read-only file system"
            default: "check the data directory"
            }
        return ImageStoreError(
            code: code == ENOENT ? .notFound : .fileSystem, message: "cannot \(action) \(path): \(reason)", hint: hint)
    }

    static func open(_ path: FilePath, _ flags: Int32, mode: mode_t = 0o644) throws -> Handle {
        while true {
            let descriptor = path.withPlatformString { Glibc.open($0, flags | O_CLOEXEC, mode) }
            if descriptor >= 0 { return Handle(descriptor) }
            if errno != EINTR { throw failure("open", path) }
        }
    }

    /// Makes an empty file that must be new.
    static func create(_ path: FilePath) throws {
        let handle = try open(path, O_WRONLY | O_CREAT | O_EXCL)
        _ = handle.descriptor
    }

    /// Size of a regular file; nil when there is none.
    static func size(_ path: FilePath) throws -> Int64? {
        var status = stat()
        guard path.withPlatformString({ stat($0, &status) }) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure("look at", path)
        }
        return status.st_mode & S_IFMT == S_IFREG ? Int64(status.st_size) : nil
    }

    /// Creates a folder and its parents; existing ones are fine.
    static func createFolder(_ path: FilePath, mode: mode_t = 0o755) throws {
        if path.withPlatformString({ mkdir($0, mode) }) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, !path.lastComponentIsMissing else { throw failure("create folder", path) }
        try createFolder(path.removingLastComponent(), mode: mode)
        if path.withPlatformString({ mkdir($0, mode) }) == 0 || errno == EEXIST { return }
        throw failure("create folder", path)
    }

    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at path: FilePath) throws {
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = Glibc.write(descriptor, base, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("write", path)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Calls `body` with chunks until the end of the file.
    static func readAll(
        _ descriptor: Int32, at path: FilePath, limit: Int64 = .max, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { buffer.deallocate() }
        var left = limit
        while left > 0 {
            let count = Glibc.read(descriptor, buffer.baseAddress, min(buffer.count, Int(clamping: left)))
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("read", path)
            }
            if count == 0 { return }
            left -= Int64(count)
            try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// The time the store's files are compared by. Not the kernel's own stamp of a write, which lags by a tick.
    static func now() -> timespec {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return now
    }

    /// Sets a file's or folder's time of change to now; false when it is not there.
    static func touch(_ path: FilePath) throws -> Bool {
        let times = [timespec(tv_sec: 0, tv_nsec: omitTime), now()]
        if path.withPlatformString({ utimensat(AT_FDCWD, $0, times, 0) }) == 0 { return true }
        if errno == ENOENT || errno == ENOTDIR { return false }
        throw failure("touch", path)
    }

    /// `UTIME_OMIT` of utimensat(2), a macro that Swift does not import.
    private static let omitTime = (1 << 30) - 2

    /// When a file or folder was changed; nil when there is none.
    static func modified(_ path: FilePath) throws -> timespec? {
        var status = stat()
        guard path.withPlatformString({ lstat($0, &status) }) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure("look at", path)
        }
        return status.st_mtim
    }

    /// Where a symbolic link leads; nil when it is none.
    static func target(_ path: FilePath) throws -> FilePath? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = path.withPlatformString { readlink($0, &buffer, Int(PATH_MAX)) }
        guard count >= 0 else {
            if [ENOENT, ENOTDIR, EINVAL].contains(errno) { return nil }
            throw failure("read link", path)
        }
        return FilePath(String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    static func digest(_ path: FilePath, by algorithm: DigestAlgorithm = .sha256) throws -> (Digest, Int64) {
        let handle = try open(path, O_RDONLY)
        var hasher = Digest.Hasher(algorithm)
        var size: Int64 = 0
        try readAll(handle.descriptor, at: path) {
            hasher.update($0); size += Int64($0.count)
        }
        return (hasher.finalize(), size)
    }

    static func sync(_ descriptor: Int32, at path: FilePath) throws {
        guard fsync(descriptor) == 0 else { throw failure("fsync", path) }
    }

    static func syncFolder(_ path: FilePath) throws {
        let handle = try open(path, O_RDONLY | O_DIRECTORY)
        try sync(handle.descriptor, at: path)
    }

    static func rename(_ from: FilePath, _ to: FilePath) throws {
        let result = from.withPlatformString { source in to.withPlatformString { Glibc.rename(source, $0) } }
        guard result == 0 else { throw failure("rename", from) }
    }

    /// False when there was nothing to remove.
    @discardableResult
    static func unlink(_ path: FilePath) throws -> Bool {
        if path.withPlatformString({ Glibc.unlink($0) }) == 0 { return true }
        if errno == ENOENT || errno == ENOTDIR { return false }
        throw failure("remove", path)
    }

    /// Names in a folder without `.` and `..`, sorted by bytes; nil when the folder does not exist.
    static func names(in path: FilePath) throws -> [String]? {
        guard let folder = path.withPlatformString({ opendir($0) }) else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure("list", path)
        }
        defer { closedir(folder) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(folder) else {
                if errno != 0 { throw failure("list", path) }
                return names.sorted()
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
    }

    static func read(_ path: FilePath, limit: Int) throws -> [UInt8] {
        let handle = try open(path, O_RDONLY)
        var bytes: [UInt8] = []
        try readAll(handle.descriptor, at: path, limit: Int64(limit) + 1) { bytes.append(contentsOf: $0) }
        guard bytes.count <= limit else {
            throw ImageStoreError(
                code: .sizeMismatch, message: "\(path) is larger than \(limit) bytes", hint: "it is not what it claims to be")
        }
        return bytes
    }

    /// Writes a new file through a temporary one: written, synced, renamed, folder synced.
    static func replace(_ path: FilePath, with bytes: [UInt8], temporary: FilePath) throws {
        do {
            let handle = try open(temporary, O_WRONLY | O_CREAT | O_EXCL)
            try bytes.withUnsafeBytes { try write($0, to: handle.descriptor, at: temporary) }
            try sync(handle.descriptor, at: temporary)
            try rename(temporary, path)
        } catch {
            _ = try? unlink(temporary)
            throw error
        }
        try syncFolder(path.removingLastComponent())
    }

    static func uniqueName() -> String {
        var generator = SystemRandomNumberGenerator()
        let (high, low) = (generator.next(), generator.next())
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        return hex(high) + hex(low)
    }
}

extension FilePath {
    var lastComponentIsMissing: Bool { lastComponent == nil }
}
