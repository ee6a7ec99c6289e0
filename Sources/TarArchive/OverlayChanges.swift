import CLibarchive
import Glibc
public import SystemPackage

/// The writable folder of an overlay as the entries of a layer: the inverse of ``LayerExtractor`` (image-spec, layer.md;
/// kernel, overlayfs.rst). The overlay must have been mounted with `redirect_dir`, `metacopy` and `index` off.
public enum OverlayChanges {
    /// Entries in archive order: in every folder its opaque mark, then its whiteouts, then what it holds, by the bytes
    /// of the names. Hard links within the folder are kept; sockets, which mean nothing in an image, are left out.
    ///
    /// - Parameters:
    ///   - folder: `upperdir`. Nobody may write to it meanwhile.
    ///   - latest: seconds since 1970; later modification times are cut to it.
    /// - Throws: ``TarError``: `.invalidSource` for names an image cannot hold, `.fileSystem`, or `CancellationError`.
    ///   Blocking: call on a `BlockingQueue`.
    public static func entries(
        of folder: FilePath, latest: Int64 = .max, isCancelled: () -> Bool = { false }
    ) throws -> [TarEntry] {
        var walk = Walk(latest: latest)
        try walk.folder(folder, "", isCancelled)
        return walk.entries
    }

    private struct Inode: Hashable {
        let device: dev_t
        let number: ino_t
    }

    private struct Walk {
        let latest: Int64
        var entries: [TarEntry] = []
        private var first: [Inode: String] = [:]

        init(latest: Int64) { self.latest = latest }

        mutating func folder(_ folder: FilePath, _ inside: String, _ isCancelled: () -> Bool) throws {
            if isCancelled() { throw CancellationError() }
            var whiteouts: [TarEntry] = []
            var others: [(name: String, path: FilePath, status: stat)] = []
            if ExtendedAttributes.read("trusted.overlay.opaque", of: folder) == [0x79] {
                whiteouts.append(mark(".wh..wh..opq", in: inside))
            }
            for name in try Self.names(folder) {
                let path = folder.appending(name)
                var status = stat()
                guard path.withPlatformString({ lstat($0, &status) }) == 0 else { throw systemFailure("look at", path.string) }
                if status.st_mode & S_IFMT == S_IFCHR, status.st_rdev == 0 {
                    whiteouts.append(mark(".wh.\(name)", in: inside))
                    continue
                }
                guard !name.hasPrefix(".wh.") else {
                    throw TarError(
                        code: .invalidSource, message: "/\(inside.isEmpty ? "" : inside + "/")\(name) cannot be in an image",
                        hint: "names that begin with .wh. mark deleted files in layers; rename it")
                }
                others.append((name, path, status))
            }
            entries += whiteouts
            for (name, path, status) in others {
                let full = inside.isEmpty ? name : "\(inside)/\(name)"
                guard let content = try content(path, full, status) else { continue }
                entries.append(
                    TarEntry(
                        path: full, content: content, mode: UInt16(status.st_mode & 0o7777), uid: Int(status.st_uid),
                        gid: Int(status.st_gid), time: min(Int64(status.st_mtim.tv_sec), latest),
                        xattrs: try ExtendedAttributes.kept(of: path)))
                if case .directory = content { try self.folder(path, full, isCancelled) }
            }
        }

        private func mark(_ name: String, in folder: String) -> TarEntry {
            TarEntry(
                path: folder.isEmpty ? name : "\(folder)/\(name)", content: .bytes([]), mode: 0o644, time: min(0, latest))
        }

        private mutating func content(_ path: FilePath, _ name: String, _ status: stat) throws -> TarEntry.Content? {
            let major = UInt32((status.st_rdev >> 8) & 0xfff | (status.st_rdev >> 32) & ~0xfff)
            let minor = UInt32(status.st_rdev & 0xff | (status.st_rdev >> 12) & 0xffff_ff00)
            switch status.st_mode & S_IFMT {
            case S_IFDIR: return .directory
            case S_IFLNK: return .symlink(try Self.target(path))
            case S_IFIFO: return .fifo
            case S_IFCHR: return .characterDevice(major: major, minor: minor)
            case S_IFBLK: return .blockDevice(major: major, minor: minor)
            case S_IFREG:
                guard status.st_nlink > 1 else { return .file(path) }
                let inode = Inode(device: status.st_dev, number: status.st_ino)
                if let known = first[inode] { return .hardlink(known) }
                first[inode] = name
                return .file(path)
            default: return nil
            }
        }

        private static func target(_ path: FilePath) throws -> String {
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
            let count = path.withPlatformString { readlink($0, &buffer, Int(PATH_MAX)) }
            guard count > 0 else { throw systemFailure("read link", path.string) }
            guard let target = String(validating: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) else {
                throw notUTF8("\(path) points to a name that")
            }
            return target
        }

        private static func names(_ folder: FilePath) throws -> [String] {
            guard let listing = folder.withPlatformString({ opendir($0) }) else { throw systemFailure("list", folder.string) }
            defer { closedir(listing) }
            var names: [String] = []
            while true {
                errno = 0
                guard let entry = readdir(listing) else {
                    if errno != 0 { throw systemFailure("list", folder.string) }
                    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
                }
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
                }
                guard let name else { throw notUTF8("\(folder) holds a name that") }
                if name != ".", name != ".." { names.append(name) }
            }
        }

        private static func notUTF8(_ what: String) -> TarError {
            TarError(code: .invalidSource, message: "\(what) is not UTF-8", hint: "rename or remove it")
        }
    }
}
