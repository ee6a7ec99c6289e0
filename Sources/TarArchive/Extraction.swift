import CLibarchive
import Glibc
import SystemPackage

/// One layer being unpacked. In an archive the last entry of a name wins; whiteouts speak about lower layers only, wherever
/// they stand.
final class Extraction {
    let root: ExtractionRoot
    let options: LayerExtractor.Options
    let asRoot = geteuid() == 0
    private let folders: FolderDescriptions
    /// What all files have together.
    private var fileBytes: Int64 = 0

    init(_ folder: FilePath, lower: LowerLayers?, options: LayerExtractor.Options) throws {
        root = try ExtractionRoot(folder, lower: lower, opener: options.opener, asRoot: asRoot)
        self.options = options
        folders = FolderDescriptions(asRoot: asRoot)
        root.created = { [folders] real, descriptor, time in try folders.add(real, descriptor, time, mode: nil) }
    }

    func add(_ entry: TarReader.Entry, _ reader: TarReader) throws {
        let name = try EntryName(entry.path, options.limits)
        switch name.meaning {
        case .bookkeeping: return
        case .whiteout(let hidden): return try hide(hidden, in: name.parents)
        case .opaqueWhiteout: return try hideAll(in: name.parents)
        case .file: break
        }
        guard let last = name.components.last else { return try describeRoot(entry) }
        if case .hardlink(let target) = entry.kind { return try hardlink(name.parents, last, target) }
        let parent = try root.folder(name.parents)
        switch entry.kind {
        case .directory: try folder(parent, last, entry)
        case .file(let size): try file(parent, last, entry, size, reader)
        case .symlink(let target): try symlink(parent, last, entry, target)
        case .fifo: try node(parent, last, entry, S_IFIFO, 0)
        case .characterDevice(let major, let minor):
            guard options.devices else { return }
            guard major != 0 || minor != 0 else {
                throw TarError(
                    code: .unsafeEntry, message: "'\(entry.path)' is a device 0:0, which would hide files of lower layers",
                    hint: "layers hide files by whiteouts; build the image again")
            }
            try node(parent, last, entry, S_IFCHR, Self.device(major, minor))
        case .blockDevice(let major, let minor):
            guard options.devices else { return }
            try node(parent, last, entry, S_IFBLK, Self.device(major, minor))
        case .hardlink: break
        }
    }

    func finish() throws { try folders.apply(in: root) }

    // MARK: Kinds

    private func describeRoot(_ entry: TarReader.Entry) throws {
        guard case .directory = entry.kind else {
            throw TarError(
                code: .unsafeEntry, message: "an entry puts something else in the place of the root folder",
                hint: "the layer is malformed; build the image again")
        }
        try describe(root.root, entry)
        try folders.add([], root.root, entry.timespec, mode: entry.mode)
    }

    private func folder(_ parent: Int32, _ name: FilePath.Component, _ entry: TarReader.Entry) throws {
        let real = root.real + [name]
        try makeFolder(parent, name)
        let folder = OpenFile(adopting: ExtractionRoot.open(parent, name))
        guard folder.descriptor >= 0 else { throw systemFailure("open", entry.path.string) }
        try describe(folder.descriptor, entry)
        try folders.add(real, folder.descriptor, entry.timespec, mode: entry.mode)
        root.forget()
    }

    private func makeFolder(_ parent: Int32, _ name: FilePath.Component) throws {
        if name.withPlatformString({ mkdirat(parent, $0, 0o700) }) == 0 { return }
        guard errno == EEXIST else { throw systemFailure("create folder", name.string) }
        var status = stat()
        guard name.withPlatformString({ fstatat(parent, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            throw systemFailure("look at", name.string)
        }
        if status.st_mode & S_IFMT == S_IFDIR { return }
        try clear(parent, name)
        guard name.withPlatformString({ mkdirat(parent, $0, 0o700) }) == 0 else { throw systemFailure("create folder", name.string) }
        guard status.isWhiteout else { return }
        let inner = OpenFile(adopting: ExtractionRoot.open(parent, name))
        guard inner.descriptor >= 0 else { throw systemFailure("open folder", name.string) }
        try OverlayMark.makeOpaque(inner.descriptor)
    }

    private func file(
        _ parent: Int32, _ name: FilePath.Component, _ entry: TarReader.Entry, _ size: Int64, _ reader: TarReader
    ) throws {
        try count(size)
        let replaced = try clear(parent, name)
        let shown = entry.path.string
        let file = OpenFile(
            adopting: name.withPlatformString { openat(parent, $0, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600) })
        let descriptor = file.descriptor
        guard descriptor >= 0 else { throw systemFailure("create", shown) }
        var end: Int64 = 0
        try reader.data { piece, offset in
            if offset != end, lseek(descriptor, Int(offset), SEEK_SET) < 0 { throw systemFailure("write", shown) }
            try writeAll(piece, to: descriptor, name: shown)
            end = offset + Int64(piece.count)
        }
        if size > end, ftruncate(descriptor, Int(size)) != 0 { throw systemFailure("write", shown) }
        try describe(descriptor, entry)
        guard setTimes(descriptor, entry.timespec) else { throw systemFailure("set the time of", shown) }
        if replaced { root.forget() } else { root.fileAppeared() }
    }

    private func symlink(_ parent: Int32, _ name: FilePath.Component, _ entry: TarReader.Entry, _ target: FilePath) throws {
        let length = target.withPlatformString { strlen($0) }
        guard length <= min(options.limits.pathBytes, Int(PATH_MAX) - 1) else {
            throw options.limits.exceeded(.path, "the target of the link '\(entry.path.string.prefix(100))' has \(length) bytes")
        }
        try clear(parent, name)
        guard name.withPlatformString({ name in target.withPlatformString { symlinkat($0, parent, name) } }) == 0 else {
            throw systemFailure("link", entry.path.string)
        }
        try describeUnopened(parent, name, entry, mode: false)
        root.forget()
    }

    private func node(
        _ parent: Int32, _ name: FilePath.Component, _ entry: TarReader.Entry, _ type: mode_t, _ device: dev_t
    ) throws {
        try clear(parent, name)
        guard name.withPlatformString({ mknodat(parent, $0, type | 0o600, device) }) == 0 else {
            throw systemFailure("create", entry.path.string)
        }
        try describeUnopened(parent, name, entry, mode: true)
        root.forget()
    }

    /// The kernel's encoding of a device number, as glibc's `makedev`.
    private static func device(_ major: UInt32, _ minor: UInt32) -> dev_t {
        let (major, minor) = (dev_t(major), dev_t(minor))
        return (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12) | ((major & ~0xfff) << 32)
    }

    /// Makes place for a new entry. True when something was in its way.
    @discardableResult
    func clear(_ parent: Int32, _ name: FilePath.Component) throws -> Bool {
        var status = stat()
        guard name.withPlatformString({ fstatat(parent, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            if errno == ENOENT { return false }
            throw systemFailure("look at", name.string)
        }
        // The lent folder itself stays open: it is the parent of what goes.
        try FolderRemoval.remove(parent, name)
        return true
    }

    func count(_ bytes: Int64) throws {
        let (sum, overflow) = fileBytes.addingReportingOverflow(bytes)
        guard !overflow, sum <= options.limits.bytes else {
            throw options.limits.exceeded(.bytes, "the files of the layer have more than \(options.limits.bytes) bytes")
        }
        fileBytes = sum
    }
}
