import CLinux
import Glibc
import OCIModel
import SystemPackage

/// Walks a source. Blocking.
struct SourceScan {
    private let source: FilePath
    private let known: [String: SourceIndex.Entry]
    private(set) var nodes: [SourceNode] = []
    private let isCancelled: () -> Bool

    /// Everything below `source` (a real path), each folder before what it holds, names in the order of their bytes.
    /// What `index` knows and the file system confirms has its content hash.
    static func nodes(
        of source: FilePath, index: SourceIndex?, isCancelled: @escaping () -> Bool
    ) throws -> [SourceNode] {
        var scan = SourceScan(source: source, known: index?.entries() ?? [:], isCancelled: isCancelled)
        let descriptor = source.withPlatformString { open($0, clinux_O_PATH | O_NOFOLLOW | O_CLOEXEC) }
        guard descriptor >= 0 else { throw SourceFiles.failure("read", source) }
        defer { close(descriptor) }
        var status = stat()
        guard fstatat(descriptor, "", &status, clinux_AT_EMPTY_PATH) == 0 else { throw SourceFiles.failure("read", source) }
        try scan.add("", "", FileStamp(status), in: descriptor)
        return scan.nodes
    }

    private init(source: FilePath, known: [String: SourceIndex.Entry], isCancelled: @escaping () -> Bool) {
        self.source = source
        self.known = known
        self.isCancelled = isCancelled
    }

    /// `folder` is the parent's descriptor, for the source itself its own.
    private mutating func add(_ path: String, _ name: String, _ stamp: FileStamp, in folder: Int32) throws {
        func place() -> FilePath { path.isEmpty ? source : source.pushing(FilePath(path)) }
        guard let kind = stamp.kind else {
            throw ImageBuilderError(
                code: .invalidSource, message: "\(place()) is neither a file, a folder nor a symbolic link",
                hint: "remove it from the workspace before the build")
        }
        switch kind {
        case .file:
            let entry = known[path].flatMap { $0.isTrusted && $0.stamp == stamp ? $0 : nil }
            nodes.append(SourceNode(path: path, kind: kind, stamp: stamp, target: nil, content: entry?.content))
        case .link:
            let target = try SourceFiles.readLink(name, in: folder, shown: place())
            nodes.append(SourceNode(path: path, kind: kind, stamp: stamp, target: target, content: ContentHash(of: target)))
        case .folder:
            nodes.append(SourceNode(path: path, kind: kind, stamp: stamp, target: nil, content: ContentHash()))
            if isCancelled() { throw CancellationError() }
            try SourceFiles.eachName(in: folder, name, shown: place()) { names, descriptor in
                for name in names {
                    let inside = path.isEmpty ? name : "\(path)/\(name)"
                    var status = stat()
                    guard fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                        throw SourceFiles.failure("read", source.pushing(FilePath(inside)))
                    }
                    try add(inside, name, FileStamp(status), in: descriptor)
                }
            }
        }
    }
}

/// The file operations a source needs, each throwing ``ImageBuilderError``. Blocking.
enum SourceFiles {
    static func failure(_ action: String, _ path: FilePath, _ code: Int32 = errno) -> ImageBuilderError {
        ImageBuilderError(
            code: .sourceMissing, message: "cannot \(action) \(path): \(String(cString: strerror(code)))",
            hint: code == ENOENT ? "does a step create it? paths are relative to the repository" : "check its permissions")
    }

    /// The path without symbolic links in it.
    static func real(_ path: FilePath) throws -> FilePath {
        guard let resolved = path.withPlatformString({ realpath($0, nil) }) else { throw failure("find", path) }
        defer { free(resolved) }
        return FilePath(platformString: resolved)
    }

    /// The hash of a regular file's content.
    static func hash(_ file: FilePath, _ key: FileHasher.Key) throws -> ContentHash {
        let descriptor = file.withPlatformString { open($0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) }
        guard descriptor >= 0 else { throw failure("read", file) }
        defer { close(descriptor) }
        var hasher = FileHasher(key)
        try withUnsafeTemporaryAllocation(byteCount: FileHasher.pieceSize, alignment: 64) { buffer in
            var filled = 0
            while true {
                let count = read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
                if count < 0 {
                    if errno == EINTR { continue }
                    throw failure("read", file)
                }
                filled += count
                if filled == buffer.count || count == 0 {
                    if filled > 0 { try hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<filled])) }
                    filled = 0
                }
                if count == 0 { return }
            }
        }
        return hasher.finalize()
    }

    static func readLink(_ name: String, in folder: Int32, shown: FilePath) throws -> String {
        let target: String? = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX) + 1) { buffer in
            guard let start = buffer.baseAddress else { return nil }
            let count = readlinkat(folder, name, start, Int(PATH_MAX))
            guard count > 0 else { return nil }
            buffer[count] = 0
            return String(validatingCString: start)
        }
        guard let target else {
            throw ImageBuilderError(code: .invalidSource, message: "\(shown) points to a name that is not UTF-8", hint: "rename it")
        }
        return target
    }

    /// Opens the folder `name` in `parent` (an empty name: `parent` itself) and lends its sorted names and descriptor.
    static func eachName(
        in parent: Int32, _ name: String, shown: FilePath, _ body: ([String], Int32) throws -> Void
    ) throws {
        let descriptor = openat(parent, name.isEmpty ? "." : name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0, let folder = fdopendir(descriptor) else {
            let code = errno
            if descriptor >= 0 { close(descriptor) }
            throw failure("list", shown, code)
        }
        defer { closedir(folder) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(folder) else {
                if errno != 0 { throw failure("list", shown) }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            guard let name else {
                throw ImageBuilderError(
                    code: .invalidSource, message: "\(shown) holds a file whose name is not UTF-8", hint: "rename or remove it")
            }
            if name == "." || name == ".." { continue }
            guard !name.hasPrefix(".wh.") else {
                throw ImageBuilderError(
                    code: .invalidSource, message: "\(shown)/\(name) would delete a file of the base image",
                    hint: "names that begin with .wh. are whiteouts in layers; rename it")
            }
            names.append(name)
        }
        names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        try body(names, descriptor)
    }
}
