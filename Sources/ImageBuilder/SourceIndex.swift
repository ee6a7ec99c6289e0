import CLinux
import Dispatch
import Glibc
import OCIModel
import Synchronization
import SystemPackage

/// What is known about the files of a source, so that an unchanged one need not be read again: for every folder, file and
/// link its stamp and the hash of its content. Only a cache: a damaged file counts as none.
///
/// A stamp is trusted only when the file had been left alone for a moment before the index was begun: a file that is
/// changed again within the granularity of its time stamps would look unchanged (git's "racy" rule). And only on file
/// systems whose clock is this machine's.
///
///     magic (8) · entries (8) · begun (8) · content key (32) · entries … · SHA-256 of all that (32)
///     entry: stamp (44) · trusted (4) · content (32) · length of the path (4) · path · NUL
struct SourceIndex {
    struct Entry: Sendable {
        let stamp: FileStamp
        let isTrusted: Bool
        let content: ContentHash
    }

    private static let magic: [UInt8] = Array("slipidx1".utf8)
    private static let headerSize = 56
    private static let fixedSize = 44 + 4 + 32 + 4

    private let bytes: [UInt8]
    private let offsets: [Int]

    /// The content key of the whole source when it was indexed.
    var contentKey: ContentHash { bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 24, as: ContentHash.self) } }

    /// Nil when there is no usable index.
    init?(file: FilePath) {
        guard let bytes = CacheFiles.read(file, limit: 1 << 30), bytes.count >= Self.headerSize + 32,
            bytes.starts(with: Self.magic)
        else { return nil }
        let body = bytes.count - 32
        var hasher = Digest.Hasher()
        bytes.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<body])) }
        let stored = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: body, as: ContentHash.self) }
        guard ContentHash(hasher.finalize()) == stored else { return nil }
        self.bytes = bytes
        offsets = bytes.withUnsafeBytes { bytes in
            var offsets: [Int] = []
            offsets.reserveCapacity(Int(clamping: bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self)))
            var offset = Self.headerSize
            while offset + Self.fixedSize < body {
                offsets.append(offset)
                offset += Self.fixedSize + Int(bytes.loadUnaligned(fromByteOffset: offset + 80, as: UInt32.self)) + 1
            }
            return offsets
        }
    }

    /// Whether the source is as it was: one look at every file, none is opened. Uses several threads for many files.
    func isUnchanged(_ source: FilePath) -> Bool {
        let root = source.withPlatformString { open($0, clinux_O_PATH | O_NOFOLLOW | O_CLOEXEC) }
        guard root >= 0 else { return false }
        defer { close(root) }
        let parts = offsets.count < 1_000 ? 1 : 4
        let unchanged = Atomic(true)
        bytes.withUnsafeBytes { bytes in
            // Unchecked Sendable: read only, and lent until the call returns.
            nonisolated(unsafe) let bytes = bytes
            DispatchQueue.concurrentPerform(iterations: parts) { part in
                let range = offsets.count * part / parts..<offsets.count * (part + 1) / parts
                for offset in offsets[range] {
                    guard unchanged.load(ordering: .relaxed) else { return }
                    if !Self.isUnchanged(bytes, offset, root) { unchanged.store(false, ordering: .relaxed) }
                }
            }
        }
        return unchanged.load(ordering: .relaxed)
    }

    private static func isUnchanged(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ root: Int32) -> Bool {
        guard bytes.loadUnaligned(fromByteOffset: offset + 44, as: UInt32.self) == 1,
            let name = bytes.baseAddress?.advanced(by: offset + fixedSize).assumingMemoryBound(to: CChar.self)
        else { return false }
        var status = stat()
        guard fstatat(root, name, &status, AT_SYMLINK_NOFOLLOW | clinux_AT_EMPTY_PATH) == 0 else { return false }
        return FileStamp(status) == FileStamp(bytes, offset)
    }

    /// Everything the index knows, by path.
    func entries() -> [String: Entry] {
        bytes.withUnsafeBytes { bytes in
            var entries: [String: Entry] = [:]
            entries.reserveCapacity(offsets.count)
            for offset in offsets {
                let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 80, as: UInt32.self))
                let path = String(decoding: bytes[(offset + Self.fixedSize)..<(offset + Self.fixedSize + length)], as: UTF8.self)
                entries[path] = Entry(
                    stamp: FileStamp(bytes, offset),
                    isTrusted: bytes.loadUnaligned(fromByteOffset: offset + 44, as: UInt32.self) == 1,
                    content: bytes.loadUnaligned(fromByteOffset: offset + 48, as: ContentHash.self))
            }
            return entries
        }
    }

    /// Writes the index of a source all of whose files have been read. `begun` is when the scan began, in nanoseconds since
    /// 1970. Does nothing on a file system whose times cannot be trusted.
    static func write(_ nodes: [SourceNode], key: ContentHash, of source: FilePath, begun: Int64, to file: FilePath) {
        guard isTrusted(source), let root = nodes.first else { return }
        var bytes = magic
        func append(_ value: some Any) { withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) } }
        append(Int64(nodes.count))
        append(begun)
        append(key)
        for node in nodes {
            guard let content = node.content else { return }
            append(node.stamp.device)
            append(node.stamp.inode)
            append(node.stamp.size)
            append(node.stamp.modified)
            append(node.stamp.changed)
            append(node.stamp.mode)
            append(UInt32(node.stamp.device == root.stamp.device && isSettled(node.stamp, begun) ? 1 : 0))
            append(content)
            append(UInt32(node.path.utf8.count))
            bytes.append(contentsOf: node.path.utf8)
            bytes.append(0)
        }
        append(ContentHash(Digest.sha256(bytes)))
        CacheFiles.write(bytes, to: file)
    }

    /// The kernel's times move in steps of up to 10 ms; a file system that keeps whole seconds shows it by round times.
    private static func isSettled(_ stamp: FileStamp, _ begun: Int64) -> Bool {
        let latest = max(stamp.modified, stamp.changed)
        let second: Int64 = 1_000_000_000
        let isCoarse = stamp.modified % second == 0 && stamp.changed % second == 0
        return latest < begun - (isCoarse ? 3 * second : 50_000_000)
    }

    /// Local file systems only: the times of a network file system come from another machine's clock.
    private static func isTrusted(_ source: FilePath) -> Bool {
        // ext2/3/4, xfs, btrfs, tmpfs, overlayfs, zfs, f2fs, bcachefs
        return [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010, 0xca45_1a4e]
            .contains(source.withPlatformString { clinux_file_system($0) })
    }

    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension FileStamp {
    fileprivate init(_ bytes: UnsafeRawBufferPointer, _ offset: Int) {
        device = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        inode = bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
        size = bytes.loadUnaligned(fromByteOffset: offset + 16, as: Int64.self)
        modified = bytes.loadUnaligned(fromByteOffset: offset + 24, as: Int64.self)
        changed = bytes.loadUnaligned(fromByteOffset: offset + 32, as: Int64.self)
        mode = bytes.loadUnaligned(fromByteOffset: offset + 40, as: UInt32.self)
    }
}
