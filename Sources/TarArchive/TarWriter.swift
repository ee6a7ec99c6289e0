import CLibarchive
import Glibc
import SystemPackage

/// Takes the bytes of an archive in order.
public protocol TarSink: AnyObject {
    func write(_ bytes: UnsafeRawBufferPointer) throws
}

/// Looks on while an archive is written: the entries in order, and the bytes of each that has some.
public protocol TarObserver: AnyObject {
    /// The entry is about to be written; `index` counts from 0.
    func begin(_ entry: TarEntry, index: Int) throws
    /// A piece of its content, in order.
    func content(_ bytes: UnsafeRawBufferPointer) throws
    /// All of the entry was written.
    func end() throws
}

/// Writes pax archives whose bytes depend on nothing but the entries and the timestamp: numeric owners, one time,
/// no access or change times. Entries appear in the order given.
public enum TarWriter {
    /// Part of every cache key: goes up when the same entries begin to give other bytes.
    public static let version = 1

    /// Blocking: call on a `BlockingQueue`. Entries are asked for one at a time, so they need not all exist at once. `isCancelled` is asked once per entry and per 256 KiB. What an observer
    /// throws ends the work.
    public static func write(
        _ entries: some Sequence<TarEntry>, timestamp: Int64, to sink: any TarSink, observers: [any TarObserver] = [],
        isCancelled: () -> Bool = { false }
    ) throws {
        try withUTF8Names {
            guard let archive = archive_write_new(), let entry = archive_entry_new() else {
                throw TarError(code: .unavailable, message: "libarchive has no memory", hint: "")
            }
            let output = Output(sink)
            defer {
                archive_entry_free(entry)
                // Freeing an archive that is not closed writes its end: the callback's target must still be there.
                withExtendedLifetime(output) { _ = archive_write_free(archive) }
            }
            do {
                func check(_ code: Int32, _ name: String) throws {
                    if let failure = output.failure { throw failure }
                    guard code == ARCHIVE_OK else {
                        throw TarError(
                            code: .invalidSource, message: "cannot archive '\(name)': \(archiveMessage(archive))",
                            hint: "file names in images must be UTF-8")
                    }
                }
                try check(archive_write_set_format_pax_restricted(archive), "")
                try check(archive_write_set_bytes_per_block(archive, 0), "")
                try check(
                    archive_write_open(
                        archive, Unmanaged.passUnretained(output).toOpaque(), nil,
                        { _, client, bytes, count in
                            guard let client else { return -1 }
                            return Unmanaged<Output>.fromOpaque(client).takeUnretainedValue().take(bytes, count)
                        }, nil), "")
                let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 4096)
                defer { buffer.deallocate() }
                for (index, item) in entries.enumerated() {
                    if isCancelled() { throw CancellationError() }
                    for observer in observers { try observer.begin(item, index: index) }
                    try write(item, timestamp, archive, entry, buffer, observers, check, isCancelled)
                    for observer in observers { try observer.end() }
                }
                try check(archive_write_close(archive), "the end")
            } catch {
                output.failure = error
                throw error
            }
        }
    }

    private static func write(
        _ item: TarEntry, _ timestamp: Int64, _ archive: OpaquePointer, _ entry: OpaquePointer,
        _ buffer: UnsafeMutableRawBufferPointer, _ observers: [any TarObserver], _ check: (Int32, String) throws -> Void,
        _ isCancelled: () -> Bool
    ) throws {
        archive_entry_clear(entry)
        archive_entry_copy_pathname(entry, item.path)
        archive_entry_set_uid(entry, Int64(item.uid))
        archive_entry_set_gid(entry, Int64(item.gid))
        archive_entry_set_mtime(entry, time_t(item.time ?? timestamp), 0)
        archive_entry_set_size(entry, 0)
        for (name, value) in item.xattrs.sorted(by: { $0.key < $1.key }) {
            archive_entry_xattr_add_entry(entry, name, value, value.count)
        }
        func kind(_ type: mode_t) {
            archive_entry_set_filetype(entry, type)
            archive_entry_set_perm(entry, mode_t(item.mode & 0o7777))
        }
        switch item.content {
        case .directory: kind(S_IFDIR)
        case .symlink(let target):
            kind(S_IFLNK)
            archive_entry_copy_symlink(entry, target)
        case .hardlink(let target):
            kind(S_IFREG)
            archive_entry_copy_hardlink(entry, target)
        case .fifo: kind(S_IFIFO)
        case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
            if case .characterDevice = item.content { kind(S_IFCHR) } else { kind(S_IFBLK) }
            archive_entry_set_rdevmajor(entry, dev_t(major))
            archive_entry_set_rdevminor(entry, dev_t(minor))
        case .bytes(let bytes):
            kind(S_IFREG)
            archive_entry_set_size(entry, Int64(bytes.count))
            try check(archive_write_header(archive, entry), item.path)
            try bytes.withUnsafeBytes { try data($0, archive, item.path, observers, check) }
            return
        case .file(let path):
            kind(S_IFREG)
            let file = try OpenFile(path, O_RDONLY | O_NOFOLLOW)
            var status = stat()
            guard fstat(file.descriptor, &status) == 0 else { throw systemFailure("look at", path.string) }
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw TarError(code: .invalidSource, message: "\(path) is not a regular file", hint: "")
            }
            var left = Int(status.st_size)
            archive_entry_set_size(entry, Int64(left))
            try check(archive_write_header(archive, entry), item.path)
            while left > 0 {
                if isCancelled() { throw CancellationError() }
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(left, buffer.count)])
                guard try readFully(file.descriptor, part, name: path.string) == part.count else {
                    throw TarError(
                        code: .invalidSource, message: "\(path) became shorter while it was read",
                        hint: "let everything that writes to the folder end first")
                }
                try data(UnsafeRawBufferPointer(part), archive, item.path, observers, check)
                left -= part.count
            }
            return
        }
        try check(archive_write_header(archive, entry), item.path)
    }

    private static func data(
        _ bytes: UnsafeRawBufferPointer, _ archive: OpaquePointer, _ name: String, _ observers: [any TarObserver],
        _ check: (Int32, String) throws -> Void
    ) throws {
        guard !bytes.isEmpty else { return }
        for observer in observers { try observer.content(bytes) }
        let count = archive_write_data(archive, bytes.baseAddress, bytes.count)
        try check(count == bytes.count ? ARCHIVE_OK : ARCHIVE_FATAL, name)
    }

    /// Carries a thrown error across the C callback.
    private final class Output {
        let sink: any TarSink
        var failure: (any Error)?
        init(_ sink: any TarSink) { self.sink = sink }

        func take(_ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
            guard failure == nil else { return -1 }
            do {
                try sink.write(UnsafeRawBufferPointer(start: bytes, count: count))
                return count
            } catch {
                failure = error
                return -1
            }
        }
    }
}
