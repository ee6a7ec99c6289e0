import CLinux
import Glibc
import SystemPackage

/// Writes trees into a mounted root. Nobody else changes the root meanwhile. Blocking.
struct TreeWriter {
    let root: TreeRoot
    /// Owner of folders made on the way.
    var owner: (uid: UInt32, gid: UInt32) = (0, 0)
    /// Modification time of folders made on the way, seconds since 1970.
    var time: Int64
    var isCancelled: () -> Bool = { false }

    private static let chunk = 1 << 18

    /// The folder a name stands for, made with its parents when missing. Returns the real name.
    @discardableResult
    func makeFolder(_ name: String, mode: UInt16 = 0o755) throws -> String {
        let found = try root.find(name)
        if found.isFolder { return found.real }
        var real = ""
        for part in found.real.split(separator: "/") {
            real = TreeRoot.join(real, String(part))
            if let status = try root.look(real) {
                guard status.st_mode & S_IFMT == S_IFDIR else {
                    throw ContainerfileBuildError(
                        .invalidSource, "/\(real) is a file, so /\(found.real) cannot be a folder", hint: "choose another destination")
                }
                continue
            }
            let path = root.full(real)
            try check(path.withPlatformString { mkdir($0, mode_t(mode)) }, "create folder", path)
            try check(path.withPlatformString { chown($0, owner.uid, owner.gid) }, "set the owner of", path)
            try check(path.withPlatformString { chmod($0, mode_t(mode)) }, "set the mode of", path)
            try setTime(path, Int(time), 0)
        }
        return found.real
    }

    /// Copies trees to `destination`: into it when it is a folder, ends with `/`, or `isFolder`; as it otherwise.
    func write(_ trees: [CopyTree], to destination: String, isFolder: Bool = false) throws {
        let found = try root.find(destination)
        let intoFolder = isFolder || destination.hasSuffix("/") || found.isFolder || trees.contains(where: \.isFolder)
        for tree in trees {
            if tree.isFolder {
                try write(tree, at: found.real, isNew: found.status == nil)
            } else {
                let target = intoFolder ? TreeRoot.join(try makeFolder(destination), tree.name) : found.real
                try makeFolder(String(target.split(separator: "/").dropLast().joined(separator: "/")))
                try write(tree, at: target, isNew: true)
            }
        }
    }

    private func write(_ tree: CopyTree, at target: String, isNew: Bool) throws {
        var folders: [(real: String, item: CopyTree.Item)] = []
        var places: [String: String] = [:]
        var written: [Int: String] = [:]
        if tree.isFolder, tree.items.first?.name != "" { try makeFolder(target) }
        for (index, item) in tree.items.enumerated() {
            if isCancelled() { throw CancellationError() }
            let parts = item.name.split(separator: "/")
            let parent = parts.dropLast().joined(separator: "/")
            let place =
                item.name.isEmpty ? target : TreeRoot.join(places[parent] ?? TreeRoot.join(target, parent), String(parts.last ?? ""))
            guard case .folder = item.kind else {
                try write(item, at: place, tree, written)
                written[index] = place
                continue
            }
            let found = try root.find(place)
            if found.status != nil, !found.isFolder {
                throw ContainerfileBuildError(
                    .invalidSource, "/\(place) is a file in the image, the copy has a folder there", hint: "choose another destination")
            }
            let isMade = found.status == nil
            let real = try makeFolder(found.real)
            places[item.name] = real
            // The folder copied into keeps what it is; folders inside become what the source says.
            if isMade || !item.name.isEmpty { folders.append((real, item)) }
        }
        for (real, item) in folders.reversed() { try describe(root.full(real), item) }
    }

    private func write(_ item: CopyTree.Item, at real: String, _ tree: CopyTree, _ written: [Int: String]) throws {
        let path = root.full(real)
        if let status = try root.look(real) {
            guard status.st_mode & S_IFMT != S_IFDIR else {
                throw ContainerfileBuildError(
                    .invalidSource, "/\(real) is a folder in the image, the copy has a file there", hint: "choose another destination")
            }
            try check(path.withPlatformString { unlink($0) }, "replace", path)
        }
        switch item.kind {
        case .folder: return
        case .file(let source):
            let input = try tree.root.open(source)
            defer { close(input) }
            try create(path) { try copy(input, to: $0, source, path) }
        case .bytes(let bytes):
            try create(path) { output in try bytes.withUnsafeBytes { try writeAll($0, to: output, path) } }
        case .symlink(let target):
            try check(path.withPlatformString { name in symlink(target, name) }, "link", path)
        case .fifo:
            try check(path.withPlatformString { mkfifo($0, 0o600) }, "create", path)
        case .device(let type, let number):
            try check(path.withPlatformString { mknod($0, mode_t(type) | 0o600, dev_t(number)) }, "create", path)
        case .hardlink(let index):
            guard let first = written[index] else {
                throw ContainerfileBuildError(.failed, "/\(real) is a link to a file that was left out")
            }
            let result = root.full(first).withPlatformString { from in path.withPlatformString { link(from, $0) } }
            return try check(result, "link", path)
        }
        try describe(path, item)
    }

    private func create(_ path: FilePath, _ body: (Int32) throws -> Void) throws {
        let file = path.withPlatformString { open($0, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600) }
        guard file >= 0 else { throw ContainerfileBuildError.system("create", path) }
        defer { close(file) }
        try body(file)
    }

    private func copy(_ input: Int32, to output: Int32, _ source: String, _ path: FilePath) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.chunk, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            if isCancelled() { throw CancellationError() }
            let count = read(input, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw ContainerfileBuildError.system("read", FilePath(source)) }
            if count == 0 { return }
            try writeAll(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: output, path)
        }
    }

    private func writeAll(_ bytes: UnsafeRawBufferPointer, to output: Int32, _ path: FilePath) throws {
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = Glibc.write(output, base, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ContainerfileBuildError.system("write", path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Owner, mode, attributes, time: in this order, as each resets what follows.
    private func describe(_ path: FilePath, _ item: CopyTree.Item) throws {
        try check(path.withPlatformString { lchown($0, item.uid, item.gid) }, "set the owner of", path)
        if case .symlink = item.kind { return try setTime(path, item.seconds, item.nanoseconds) }
        try check(path.withPlatformString { chmod($0, mode_t(item.mode)) }, "set the mode of", path)
        for (name, value) in item.attributes.sorted(by: { $0.key < $1.key }) {
            let result = path.withPlatformString { lsetxattr($0, name, value, value.count, 0) }
            // Not every file system keeps user attributes; a lost capability would change what a program may do.
            if result != 0, name == "security.capability" || errno != ENOTSUP && errno != EPERM {
                throw ContainerfileBuildError.system("set \(name) of", path)
            }
        }
        try setTime(path, item.seconds, item.nanoseconds)
    }

    private func setTime(_ path: FilePath, _ seconds: Int, _ nanoseconds: Int) throws {
        let time = timespec(tv_sec: seconds, tv_nsec: nanoseconds)
        let result = [time, time].withUnsafeBufferPointer { times in
            path.withPlatformString { utimensat(AT_FDCWD, $0, times.baseAddress, AT_SYMLINK_NOFOLLOW) }
        }
        try check(result, "set the time of", path)
    }

    private func check(_ result: Int32, _ action: String, _ path: FilePath) throws {
        guard result == 0 else { throw ContainerfileBuildError.system(action, path) }
    }
}
