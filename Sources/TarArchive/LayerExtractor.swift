import CLibarchive
import Glibc
public import OCIModel
public import SystemPackage

/// Unpacks a layer into a folder as overlayfs wants it: whiteouts become character devices 0:0, opaque folders
/// carry `trusted.overlay.opaque` (image-spec, layer.md; kernel, overlayfs.rst).
public struct LayerExtractor: Sendable {
    public struct Options: Sendable {
        /// Most uncompressed bytes, and most entries, of one layer.
        public var maximumBytes: Int64 = 64 << 30
        public var maximumEntries = 4_000_000
        /// Create device nodes; otherwise they are left out (a runtime brings its own `/dev`).
        public var devices = false
        /// Turn whiteouts into overlayfs ones; false keeps out what they delete and ignores them.
        public var overlayWhiteouts = true
        public init() {}
    }

    public let options: Options
    public init(options: Options = Options()) { self.options = options }

    /// Unpacks `layer` (plain, gzip or zstd) into the existing, empty `folder`. With `expecting`, other content
    /// throws `.digestMismatch`; after any error the folder holds rubbish and must be removed. Returns the diffID.
    /// Owners are set only as root. Blocking: call on a `BlockingQueue`.
    @discardableResult
    public func extract(
        _ layer: FilePath, to folder: FilePath, expecting: Digest? = nil, isCancelled: () -> Bool = { false }
    ) throws -> Digest {
        let extraction = Extraction(root: try ExtractionRoot(folder), options: options)
        var entries = 0
        let algorithm = expecting?.algorithm ?? .sha256
        let (diffID, _) = try TarReader.read(layer, limit: options.maximumBytes, algorithm: algorithm) { entry, reader in
            if isCancelled() { throw CancellationError() }
            entries += 1
            guard entries <= options.maximumEntries else {
                throw TarError(
                    code: .limitExceeded, message: "the layer has more than \(options.maximumEntries) entries",
                    hint: "raise the limit if you trust the image")
            }
            try extraction.add(entry, reader)
        }
        try extraction.finish()
        if let expecting, expecting != diffID {
            throw TarError(
                code: .digestMismatch, message: "the layer has diffID \(diffID), its config says \(expecting)",
                hint: "the image is damaged or forged; fetch it again")
        }
        return diffID
    }
}

/// One layer being unpacked.
private final class Extraction {
    private let root: ExtractionRoot
    private let options: LayerExtractor.Options
    private let isRoot = geteuid() == 0
    /// Times of folders are set last: every file made inside changes them.
    private var folderTimes: [([FilePath.Component], timespec)] = []

    init(root: ExtractionRoot, options: LayerExtractor.Options) {
        self.root = root
        self.options = options
    }

    func add(_ entry: TarReader.Entry, _ reader: TarReader) throws {
        let names = try ExtractionRoot.components(entry.path)
        guard let name = names.last else {
            if case .directory = entry.kind { try describeFolder(root.root, entry, names) }
            return
        }
        let parents = Array(names.dropLast())
        if name.string.hasPrefix(".wh.") { return try whiteout(name.string, in: parents) }
        let parent = try root.folder(parents)
        switch entry.kind {
        case .directory:
            try makeFolder(parent, name)
            let folder = name.withPlatformString { openat(parent, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
            guard folder >= 0 else { throw systemFailure("open", entry.path.string) }
            defer { close(folder) }
            try describeFolder(folder, entry, names)
        case .file: try file(parent, name, entry, reader)
        case .symlink(let target):
            try clear(parent, name)
            let code = name.withPlatformString { name in target.withPlatformString { symlinkat($0, parent, name) } }
            guard code == 0 else { throw systemFailure("link", entry.path.string) }
            try describeUnopened(parent, name, entry, mode: false)
        case .hardlink(let target): try hardlink(parents, name, target)
        case .fifo: try node(parent, name, entry, S_IFIFO, 0)
        case .characterDevice(let major, let minor):
            if options.devices { try node(parent, name, entry, S_IFCHR, Self.device(major, minor)) }
        case .blockDevice(let major, let minor):
            if options.devices { try node(parent, name, entry, S_IFBLK, Self.device(major, minor)) }
        case .socket: break
        }
    }

    func finish() throws {
        for (names, time) in folderTimes.reversed() {
            // A later entry may have replaced the folder by something else.
            guard let folder = try? root.folder(names, create: false) else { continue }
            guard setTimes(folder, time) else { throw systemFailure("set the time of", names.last?.string ?? "/") }
        }
    }

    private func file(
        _ parent: Int32, _ name: FilePath.Component, _ entry: TarReader.Entry, _ reader: TarReader
    ) throws {
        try clear(parent, name)
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
        if case .file(let size) = entry.kind, size > end {
            guard size <= options.maximumBytes, ftruncate(descriptor, Int(size)) == 0 else {
                throw systemFailure("write", shown, EFBIG)
            }
        }
        try describe(descriptor, entry)
        guard setTimes(descriptor, Self.time(entry)) else { throw systemFailure("set the time of", shown) }
    }

    private func hardlink(_ parents: [FilePath.Component], _ name: FilePath.Component, _ target: FilePath) throws {
        let names = try ExtractionRoot.components(target)
        guard let last = names.last else {
            throw TarError(code: .unsafeEntry, message: "a hard link to the root folder", hint: "the layer is malformed")
        }
        let parent = try root.folder(parents)
        try clear(parent, name)
        let here = OpenFile(adopting: dup(parent))
        guard here.descriptor >= 0 else { throw systemFailure("open", name.string) }
        let there = try root.folder(Array(names.dropLast()), create: false)
        let code = last.withPlatformString { from in name.withPlatformString { linkat(there, from, here.descriptor, $0, 0) } }
        guard code == 0 else { throw systemFailure("link '\(name)' to", target.string) }
    }

    private func node(
        _ parent: Int32, _ name: FilePath.Component, _ entry: TarReader.Entry, _ type: mode_t, _ device: dev_t
    ) throws {
        try clear(parent, name)
        guard name.withPlatformString({ mknodat(parent, $0, type | 0o600, device) }) == 0 else {
            throw systemFailure("create", entry.path.string)
        }
        try describeUnopened(parent, name, entry, mode: true)
    }

    // MARK: Whiteouts

    private func whiteout(_ name: String, in parents: [FilePath.Component]) throws {
        guard options.overlayWhiteouts else { return }
        let parent = try root.folder(parents)
        if name == ".wh..wh..opq" { return try makeOpaque(parent) }
        // Other `.wh..wh.` names are aufs bookkeeping.
        guard !name.hasPrefix(".wh..wh."), let hidden = FilePath.Component(String(name.dropFirst(4))), hidden.kind == .regular
        else { return }
        // A whiteout speaks about lower layers only: what this layer holds stays, but nothing shines through.
        let inner = hidden.withPlatformString { openat(parent, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
        if inner >= 0 {
            defer { close(inner) }
            return try makeOpaque(inner)
        }
        let code: Int32 = hidden.withPlatformString { mknodat(parent, $0, S_IFCHR, 0) == 0 ? 0 : errno }
        guard code == 0 || code == EEXIST else { throw systemFailure("hide", hidden.string, code) }
    }

    private func makeOpaque(_ folder: Int32) throws {
        guard fsetxattr(folder, "trusted.overlay.opaque", "y", 1, 0) == 0 else {
            throw systemFailure("make opaque", "a folder of the layer")
        }
    }

    private func makeFolder(_ parent: Int32, _ name: FilePath.Component) throws {
        if name.withPlatformString({ mkdirat(parent, $0, 0o700) }) == 0 { return }
        guard errno == EEXIST else { throw systemFailure("create folder", name.string) }
        var status = stat()
        guard name.withPlatformString({ fstatat(parent, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            throw systemFailure("look at", name.string)
        }
        if status.st_mode & S_IFMT == S_IFDIR { return }
        let wasWhiteout = status.st_mode & S_IFMT == S_IFCHR && status.st_rdev == 0
        try clear(parent, name)
        guard name.withPlatformString({ mkdirat(parent, $0, 0o700) }) == 0 else {
            throw systemFailure("create folder", name.string)
        }
        guard wasWhiteout else { return }
        let inner = OpenFile(adopting: name.withPlatformString { openat(parent, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) })
        guard inner.descriptor >= 0 else { throw systemFailure("open folder", name.string) }
        try makeOpaque(inner.descriptor)
    }

    /// Makes place for a new entry: in an archive the last one of a name wins.
    private func clear(_ parent: Int32, _ name: FilePath.Component) throws {
        var status = stat()
        guard name.withPlatformString({ fstatat(parent, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            if errno == ENOENT { return }
            throw systemFailure("look at", name.string)
        }
        try ExtractionRoot.remove(parent, name)
    }

    // MARK: Owner, mode, extended attributes, time: in this order, as each resets what follows

    private func describeFolder(_ folder: Int32, _ entry: TarReader.Entry, _ names: [FilePath.Component]) throws {
        try describe(folder, entry)
        folderTimes.append((names, Self.time(entry)))
    }

    private func describe(_ descriptor: Int32, _ entry: TarReader.Entry) throws {
        let shown = entry.path.string
        if isRoot, fchown(descriptor, entry.uid, entry.gid) != 0 { throw systemFailure("set the owner of", shown) }
        guard fchmod(descriptor, mode_t(entry.mode)) == 0 else { throw systemFailure("set the mode of", shown) }
        for (name, value) in entry.xattrs where name.hasPrefix("user.") || name == "security.capability" {
            if fsetxattr(descriptor, name, value, value.count, 0) == 0 { continue }
            // Not every file system keeps user attributes; a lost capability would change what a program may do.
            if name != "security.capability" && (errno == ENOTSUP || errno == EPERM) { continue }
            if !isRoot && errno == EPERM { continue }
            throw systemFailure("set \(name) of", shown)
        }
    }

    private func describeUnopened(
        _ parent: Int32, _ name: FilePath.Component, _ entry: TarReader.Entry, mode: Bool
    ) throws {
        let time = Self.time(entry)
        try name.withPlatformString { path in
            if isRoot, fchownat(parent, path, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0 {
                throw systemFailure("set the owner of", entry.path.string)
            }
            if mode, fchmodat(parent, path, mode_t(entry.mode), 0) != 0 {
                throw systemFailure("set the mode of", entry.path.string)
            }
            let times = [time, time]
            guard times.withUnsafeBufferPointer({ utimensat(parent, path, $0.baseAddress, AT_SYMLINK_NOFOLLOW) }) == 0 else {
                throw systemFailure("set the time of", entry.path.string)
            }
        }
    }

    private func setTimes(_ descriptor: Int32, _ time: timespec) -> Bool {
        [time, time].withUnsafeBufferPointer { futimens(descriptor, $0.baseAddress) == 0 }
    }

    private static func time(_ entry: TarReader.Entry) -> timespec {
        timespec(tv_sec: Int(entry.time), tv_nsec: min(max(entry.timeNanoseconds, 0), 999_999_999))
    }

    /// The kernel's encoding of a device number, as glibc's `makedev`.
    private static func device(_ major: UInt32, _ minor: UInt32) -> dev_t {
        let (major, minor) = (dev_t(major), dev_t(minor))
        return (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12) | ((major & ~0xfff) << 32)
    }
}
