import CLinux
import Glibc
import SystemPackage

/// A folder taken as `/`: names are looked up inside, symbolic links included, so that nothing leads out. Blocking.
struct TreeRoot: Sendable {
    let path: FilePath

    /// What a name stands for.
    struct Found {
        /// The name without links, `.` and `..`, and without a leading slash; empty for the root.
        var real: String
        /// nil: nothing is there.
        var status: stat?

        var isFolder: Bool { status.map { $0.st_mode & S_IFMT == S_IFDIR } ?? false }
        var isFile: Bool { status.map { $0.st_mode & S_IFMT == S_IFREG } ?? false }
    }

    func full(_ real: String) -> FilePath { real.isEmpty ? path : path.pushing(FilePath(real)) }

    /// Follows the links on the way and, unless told otherwise, the last one. What is missing counts as folders to come.
    func find(_ name: String, followsLast: Bool = true) throws -> Found {
        var pending = Self.names(name).reversed() as [String]
        var real: [String] = []
        var links = 0
        var status: stat? = try look("")
        while let next = pending.popLast() {
            if next == ".." {
                _ = real.popLast()
                status = try look(real.joined(separator: "/"))
                continue
            }
            let path = (real + [next]).joined(separator: "/")
            status = try status == nil ? nil : look(path)
            guard let seen = status, seen.st_mode & S_IFMT == S_IFLNK, followsLast || !pending.isEmpty else {
                real.append(next)
                continue
            }
            links += 1
            guard links <= 40 else {
                throw ContainerfileBuildError(
                    .invalidSource, "the symbolic links of /\(path) run in a circle", hint: "name the file itself")
            }
            let target = try Self.readLink(full(path))
            if target.hasPrefix("/") { real = [] }
            status = try look(real.joined(separator: "/"))
            pending += Self.names(target).reversed()
        }
        return Found(real: real.joined(separator: "/"), status: status)
    }

    /// nil: nothing is there. Links are not followed.
    func look(_ real: String) throws -> stat? {
        var status = stat()
        if full(real).withPlatformString({ lstat($0, &status) }) == 0 { return status }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw ContainerfileBuildError.system("look at", full(real))
    }

    /// Opens a regular file by its real name; the kernel sees to it that it lies inside. The caller closes it.
    func open(_ real: String) throws -> Int32 {
        let root = path.withPlatformString { Glibc.open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard root >= 0 else { throw ContainerfileBuildError.system("open", path) }
        defer { close(root) }
        let file = clinux_open_in_root(root, real, UInt64(O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY))
        guard file >= 0 else { throw ContainerfileBuildError.system("open", full(real)) }
        return file
    }

    /// At most `limit` bytes of a small file; nil when it is missing or no regular file.
    func read(_ name: String, limit: Int) throws -> [UInt8]? {
        let found = try find(name)
        guard found.isFile else { return nil }
        let file = FileDescriptor(rawValue: try open(found.real))
        return try file.closeAfter {
            var bytes = [UInt8](repeating: 0, count: min(limit, Int(found.status?.st_size ?? 0)))
            var filled = 0
            while filled < bytes.count {
                let count = try bytes.withUnsafeMutableBytes { try file.read(into: .init(rebasing: $0[filled...])) }
                if count == 0 { break }
                filled += count
            }
            return Array(bytes[..<filled])
        }
    }

    /// Names in a folder, sorted by bytes.
    func names(in real: String) throws -> [String] {
        guard let listing = full(real).withPlatformString({ opendir($0) }) else {
            throw ContainerfileBuildError.system("list", full(real))
        }
        defer { closedir(listing) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(listing) else {
                if errno != 0 { throw ContainerfileBuildError.system("list", full(real)) }
                return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            guard let name else {
                throw ContainerfileBuildError(
                    .invalidSource, "\(full(real)) holds a file whose name is not UTF-8", hint: "rename or remove it")
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    static func names(_ path: String) -> [String] { path.split(separator: "/").filter { $0 != "." }.map(String.init) }

    static func join(_ folder: String, _ name: String) -> String {
        folder.isEmpty ? name : name.isEmpty ? folder : "\(folder)/\(name)"
    }

    static func readLink(_ path: FilePath) throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = path.withPlatformString { readlink($0, &buffer, Int(PATH_MAX)) }
        guard count > 0 else { throw ContainerfileBuildError.system("read link", path) }
        guard let target = String(validating: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) else {
            throw ContainerfileBuildError(
                .invalidSource, "\(path) points to a name that is not UTF-8", hint: "rename or remove it")
        }
        return target
    }
}

extension ContainerfileBuildError {
    static func system(_ action: String, _ path: FilePath, _ code: Int32 = errno) -> Self {
        let hint =
            switch code {
            case ENOSPC, EDQUOT: "free some disk space"
            case EACCES, EPERM: "check who owns it, or build as root"
            default: ""
            }
        return Self(.failed, "cannot \(action) \(path): \(Errno(rawValue: code))", hint: hint)
    }
}
