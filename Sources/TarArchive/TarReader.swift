import CLibarchive
import Glibc
public import OCIModel
public import SystemPackage

/// Reads the entries of a tar archive (ustar, pax, GNU; plain, gzip or zstd) in order. Blocking.
public final class TarReader {
    /// What an entry says about itself. Names are bytes as in the archive, not yet made safe.
    public struct Entry {
        public enum Kind: Sendable, Hashable {
            case file(size: Int64)
            case directory
            case symlink(FilePath)
            case hardlink(FilePath)
            case fifo
            case characterDevice(major: UInt32, minor: UInt32)
            case blockDevice(major: UInt32, minor: UInt32)
            case socket
        }

        public let path: FilePath
        public let kind: Kind
        public let mode: UInt16
        public let uid: UInt32
        public let gid: UInt32
        public let time: Int64
        public let timeNanoseconds: Int
        public let xattrs: [(name: String, value: [UInt8])]
    }

    private let archive: OpaquePointer
    private let input: Input
    private let name: String

    /// Calls `body` for every entry; `body` may read the entry's data through the reader. Afterwards the rest of
    /// the file is read too; returns the digest of all uncompressed bytes (the diffID of a layer) and their number.
    @discardableResult
    public static func read(
        _ file: FilePath, limit: Int64 = .max, algorithm: DigestAlgorithm = .sha256,
        _ body: (Entry, TarReader) throws -> Void
    ) throws -> (diffID: Digest, size: Int64) {
        try LayerBytes.open(file, limit: limit, algorithm: algorithm) { bytes in
            try entries(bytes, name: file.string, body)
            return (try bytes.finish(), bytes.count)
        }
    }

    private static func entries(
        _ bytes: LayerBytes, name: String, _ body: (Entry, TarReader) throws -> Void
    ) throws {
        let reader = try TarReader(bytes, name: name)
        while let entry = try reader.next() { try body(entry, reader) }
    }

    private init(_ bytes: LayerBytes, name: String) throws {
        guard let archive = archive_read_new() else {
            throw TarError(code: .unavailable, message: "libarchive has no memory", hint: "")
        }
        self.archive = archive
        self.name = name
        input = Input(bytes)
        try check(archive_read_support_format_tar(archive))
        try check(archive_read_support_format_empty(archive))
        try check(
            archive_read_open(
                archive, Unmanaged.passUnretained(input).toOpaque(), nil,
                { _, client, out in
                    guard let client, let out else { return -1 }
                    return Unmanaged<Input>.fromOpaque(client).takeUnretainedValue().next(out)
                }, nil))
    }

    deinit { archive_read_free(archive) }

    private func check(_ code: Int32) throws {
        if let failure = input.failure { throw failure }
        guard code == ARCHIVE_OK else {
            throw TarError(
                code: .invalidArchive, message: "\(name) is not a good tar archive: \(archiveMessage(archive))",
                hint: "the file is damaged, cut short or of another kind")
        }
    }

    private func next() throws -> Entry? {
        var pointer: OpaquePointer?
        let code = archive_read_next_header(archive, &pointer)
        if code == ARCHIVE_EOF, input.failure == nil { return nil }
        try check(code)
        guard let pointer, let path = archive_entry_pathname(pointer) else {
            throw TarError(code: .invalidArchive, message: "\(name) has an entry without a name", hint: "")
        }
        let shown = String(cString: path)
        guard let uid = UInt32(exactly: archive_entry_uid(pointer)), let gid = UInt32(exactly: archive_entry_gid(pointer))
        else { throw TarError(code: .unsafeEntry, message: "'\(shown)' in \(name) has an impossible owner", hint: "") }
        return Entry(
            path: FilePath(platformString: path), kind: try kind(pointer, shown),
            mode: UInt16(archive_entry_perm(pointer) & 0o7777), uid: uid, gid: gid,
            time: Int64(archive_entry_mtime(pointer)), timeNanoseconds: archive_entry_mtime_nsec(pointer),
            xattrs: xattrs(pointer))
    }

    private func kind(_ entry: OpaquePointer, _ shown: String) throws -> Entry.Kind {
        if let target = archive_entry_hardlink(entry) { return .hardlink(FilePath(platformString: target)) }
        let major = UInt32(truncatingIfNeeded: archive_entry_rdevmajor(entry))
        let minor = UInt32(truncatingIfNeeded: archive_entry_rdevminor(entry))
        switch archive_entry_filetype(entry) {
        case S_IFREG: return .file(size: archive_entry_size(entry))
        case S_IFDIR: return .directory
        case S_IFLNK:
            guard let target = archive_entry_symlink(entry) else { break }
            return .symlink(FilePath(platformString: target))
        case S_IFIFO: return .fifo
        case S_IFCHR: return .characterDevice(major: major, minor: minor)
        case S_IFBLK: return .blockDevice(major: major, minor: minor)
        case S_IFSOCK: return .socket
        default: break
        }
        throw TarError(code: .invalidArchive, message: "'\(shown)' in \(name) is of an unknown kind", hint: "")
    }

    private func xattrs(_ entry: OpaquePointer) -> [(name: String, value: [UInt8])] {
        var found: [(name: String, value: [UInt8])] = []
        guard archive_entry_xattr_reset(entry) > 0 else { return found }
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK, let key = name {
            found.append((String(cString: key), Array(UnsafeRawBufferPointer(start: value, count: size))))
        }
        return found
    }

    /// Calls `body` with the pieces of the current entry's data and their offsets; gaps are holes.
    public func data(_ body: (UnsafeRawBufferPointer, Int64) throws -> Void) throws {
        while true {
            var bytes: UnsafeRawPointer?
            var size = 0
            var offset: la_int64_t = 0
            let code = archive_read_data_block(archive, &bytes, &size, &offset)
            if code == ARCHIVE_EOF, input.failure == nil { return }
            try check(code)
            if size > 0 { try body(UnsafeRawBufferPointer(start: bytes, count: size), offset) }
        }
    }

    /// The current entry's data, at most `limit` bytes.
    public func bytes(limit: Int) throws -> [UInt8] {
        var result: [UInt8] = []
        try data { piece, _ in
            guard result.count + piece.count <= limit else {
                throw TarError(code: .limitExceeded, message: "an entry of \(name) is larger than \(limit) bytes", hint: "")
            }
            result.append(contentsOf: piece)
        }
        return result
    }

    /// Carries a thrown error across the C callback.
    private final class Input {
        private let bytes: LayerBytes
        var failure: (any Error)?
        init(_ bytes: LayerBytes) { self.bytes = bytes }

        func next(_ out: UnsafeMutablePointer<UnsafeRawPointer?>) -> Int {
            guard failure == nil else { return -1 }
            do {
                guard let piece = try bytes.next() else { return 0 }
                out.pointee = piece.baseAddress
                return piece.count
            } catch {
                failure = error
                return -1
            }
        }
    }
}
