import Glibc
import SystemPackage
import TarArchive

/// Collects the entries of the layer. Blocking: it walks folders.
struct LayerPlan {
    private var base: BaseTree
    private let context: FilePath
    private let workingDirectory: String
    private var entries: [String: TarEntry] = [:]

    init(base: BaseTree, context: FilePath, workingDirectory: String) throws {
        self.base = base
        self.context = try Self.real(context)
        self.workingDirectory = workingDirectory
    }

    /// All entries with their parent folders, in archive order.
    var sorted: [TarEntry] { entries.values.sortedForArchive() }

    mutating func add(_ copy: BuildRequest.Copy) throws {
        let source = try Self.real(copy.source)
        guard source.starts(with: context) else {
            throw ImageBuilderError(
                code: .sourceOutsideContext, message: "\(copy.source) lies outside \(context)",
                hint: "copy only what the repository or a step put into the workspace")
        }
        let destination = copy.destination.hasPrefix("/") ? copy.destination : "\(workingDirectory)/\(copy.destination)"
        guard !destination.split(separator: "/").contains(".."), !destination.utf8.contains(0) else {
            throw ImageBuilderError(
                code: .invalidRequest, message: "the destination '\(copy.destination)' contains '..'", hint: "write the plain path")
        }
        var target = BaseTree.normal(destination)
        let status = try Self.status(source)
        if status.st_mode & S_IFMT == S_IFDIR {
            target = try base.realPath(target)
            try addParents(of: target)
            if !target.isEmpty { try put(TarEntry(path: target, content: .directory, mode: folderMode(target, copy), uid: copy.uid, gid: copy.gid)) }
            try walk(source, target, copy)
        } else {
            let folder = try base.realPath(target)
            if destination.hasSuffix("/") || folder.isEmpty || base.folders[folder] != nil {
                target = folder.isEmpty ? (source.lastComponent?.string ?? "") : "\(folder)/\(source.lastComponent?.string ?? "")"
            }
            try addFile(source, status, target, copy)
        }
    }

    private mutating func walk(_ folder: FilePath, _ target: String, _ copy: BuildRequest.Copy) throws {
        for name in try Self.names(folder) {
            let path = folder.appending(name)
            let inside = target.isEmpty ? name : "\(target)/\(name)"
            let status = try Self.status(path)
            guard status.st_mode & S_IFMT == S_IFDIR else {
                try addFile(path, status, inside, copy)
                continue
            }
            let real = try base.realPath(inside)
            if real != inside { try addParents(of: real) }
            try put(TarEntry(path: real, content: .directory, mode: folderMode(real, copy), uid: copy.uid, gid: copy.gid))
            try walk(path, real, copy)
        }
    }

    private mutating func addFile(_ source: FilePath, _ status: stat, _ target: String, _ copy: BuildRequest.Copy) throws {
        let (parent, name) = BaseTree.split(target)
        let folder = try base.realPath(parent)
        let path = folder.isEmpty ? name : "\(folder)/\(name)"
        try addParents(of: path)
        let content: TarEntry.Content
        var mode = copy.mode ?? (status.st_mode & S_IXUSR != 0 ? 0o755 : 0o644)
        switch status.st_mode & S_IFMT {
        case S_IFREG: content = .file(source)
        case S_IFLNK:
            content = .symlink(try Self.readLink(source))
            mode = 0o777
        default:
            throw ImageBuilderError(
                code: .invalidSource, message: "\(source) is neither a file, a folder nor a symbolic link",
                hint: "remove it from the workspace before the build")
        }
        guard base.folders[path] == nil else {
            throw ImageBuilderError(
                code: .invalidSource, message: "/\(path) is a folder in the base image, the copy has a file there",
                hint: "choose another destination")
        }
        try put(TarEntry(path: path, content: content, mode: mode, uid: copy.uid, gid: copy.gid))
    }

    private func folderMode(_ path: String, _ copy: BuildRequest.Copy) -> UInt16 { base.folders[path]?.mode ?? 0o755 }

    /// Folders on the way keep what the base says about them.
    private mutating func addParents(of path: String) throws {
        var parent = BaseTree.split(path).parent
        while !parent.isEmpty {
            if let known = entries[parent] {
                guard case .directory = known.content else { throw Self.conflict(parent) }
                return
            }
            let folder = base.folders[parent]
            entries[parent] = TarEntry(
                path: parent, content: .directory, mode: folder?.mode ?? 0o755, uid: Int(folder?.uid ?? 0), gid: Int(folder?.gid ?? 0))
            parent = BaseTree.split(parent).parent
        }
    }

    private mutating func put(_ entry: TarEntry) throws {
        if let known = entries[entry.path] {
            switch (known.content, entry.content) {
            case (.directory, .directory): break
            case (.directory, _), (_, .directory): throw Self.conflict(entry.path)
            default: break
            }
        }
        entries[entry.path] = entry
    }

    private static func conflict(_ path: String) -> ImageBuilderError {
        ImageBuilderError(
            code: .invalidSource, message: "/\(path) would be both a file and a folder", hint: "give the copies different destinations")
    }

    // MARK: File system

    private static func real(_ path: FilePath) throws -> FilePath {
        guard let resolved = path.withPlatformString({ realpath($0, nil) }) else {
            throw ImageBuilderError(
                code: .sourceMissing, message: "cannot find \(path): \(String(cString: strerror(errno)))",
                hint: "does a step create it? paths are relative to the repository")
        }
        defer { free(resolved) }
        return FilePath(platformString: resolved)
    }

    private static func status(_ path: FilePath) throws -> stat {
        var status = stat()
        guard path.withPlatformString({ lstat($0, &status) }) == 0 else {
            throw ImageBuilderError(
                code: .sourceMissing, message: "cannot read \(path): \(String(cString: strerror(errno)))", hint: "")
        }
        return status
    }

    private static func readLink(_ path: FilePath) throws -> String {
        let target: String? = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX) + 1) { buffer in
            guard let start = buffer.baseAddress else { return nil }
            let count = path.withPlatformString { readlink($0, start, Int(PATH_MAX)) }
            guard count > 0 else { return nil }
            buffer[count] = 0
            return String(validatingCString: start)
        }
        guard let target else {
            throw ImageBuilderError(code: .invalidSource, message: "\(path) points to a name that is not UTF-8", hint: "rename it")
        }
        return target
    }

    private static func names(_ path: FilePath) throws -> [String] {
        guard let folder = path.withPlatformString({ opendir($0) }) else {
            throw ImageBuilderError(
                code: .sourceMissing, message: "cannot list \(path): \(String(cString: strerror(errno)))", hint: "")
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            guard let name else {
                throw ImageBuilderError(
                    code: .invalidSource, message: "\(path) holds a file whose name is not UTF-8", hint: "rename or remove it")
            }
            if name == "." || name == ".." { continue }
            guard !name.hasPrefix(".wh.") else {
                throw ImageBuilderError(
                    code: .invalidSource, message: "\(path)/\(name) would delete a file of the base image",
                    hint: "names that begin with .wh. are whiteouts in layers; rename it")
            }
            names.append(name)
        }
        return names
    }
}
