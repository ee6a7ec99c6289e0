import CLibarchive
import Glibc
public import SystemPackage

/// Tar archives as people pack them: plain, or compressed by gzip, bzip2, xz or zstd.
public enum PackedArchive {
    /// Whether the file begins as such an archive does. Blocking.
    public static func isArchive(_ file: FilePath) throws -> Bool {
        try withUTF8Names {
            let reader = try Reader(formats: archive_read_support_format_tar)
            guard file.withPlatformString({ archive_read_open_filename(reader.archive, $0, 1 << 16) }) == ARCHIVE_OK else {
                return false
            }
            var entry: OpaquePointer?
            return archive_read_next_header(reader.archive, &entry) == ARCHIVE_OK
        }
    }

    /// Unpacks the archive into an existing, empty folder that its names and links cannot leave. Owners are kept.
    /// - Parameter temporary: a new file's name, for the uncompressed archive; the file is gone afterwards.
    /// - Throws: ``TarError``; the folder then holds rubbish. Blocking: call on a `BlockingQueue`.
    public static func extract(
        _ file: FilePath, to folder: FilePath, temporary: FilePath, limits: LayerLimits = LayerLimits(),
        isCancelled: () -> Bool = { false }
    ) throws {
        defer { _ = temporary.withPlatformString { unlink($0) } }
        var options = LayerExtractor.Options()
        options.overlayWhiteouts = false
        options.limits = limits
        try decompress(file, to: temporary, limits, isCancelled)
        try LayerExtractor(options: options).extract(temporary, to: folder, isCancelled: isCancelled)
    }

    private static func decompress(_ file: FilePath, to output: FilePath, _ limits: LayerLimits, _ isCancelled: () -> Bool) throws {
        let reader = try Reader(formats: archive_read_support_format_raw)
        func check(_ code: Int32) throws {
            guard code == ARCHIVE_OK else {
                throw TarError(
                    code: .invalidArchive, message: "cannot unpack \(file): \(archiveMessage(reader.archive))",
                    hint: "the file is damaged or cut short; fetch it again")
            }
        }
        try check(file.withPlatformString { archive_read_open_filename(reader.archive, $0, 1 << 18) })
        var entry: OpaquePointer?
        try check(archive_read_next_header(reader.archive, &entry))
        let plain = try OpenFile(output, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        var status = stat()
        guard file.withPlatformString({ stat($0, &status) }) == 0 else { throw systemFailure("look at", file.string) }
        let byRatio = max(limits.ratioFrom, Int64(status.st_size).multipliedReportingOverflow(by: limits.ratio).partialValue)
        let limit = min(limits.bytes, byRatio)
        var total: Int64 = 0
        while true {
            if isCancelled() { throw CancellationError() }
            var bytes: UnsafeRawPointer?
            var size = 0
            var offset: la_int64_t = 0
            let code = archive_read_data_block(reader.archive, &bytes, &size, &offset)
            if code == ARCHIVE_EOF { return }
            try check(code)
            total += Int64(size)
            guard total <= limit else {
                throw TarError(
                    code: .limitExceeded, message: "\(file) unpacks to more than \(limit) bytes", hint: "copy it as it is")
            }
            try writeAll(UnsafeRawBufferPointer(start: bytes, count: size), to: plain.descriptor, name: output.string)
        }
    }

    /// libarchive with the compressions above, and nothing else: no external programs.
    private final class Reader {
        let archive: OpaquePointer

        init(formats: (OpaquePointer?) -> Int32) throws {
            guard let archive = archive_read_new() else {
                throw TarError(code: .unavailable, message: "libarchive has no memory", hint: "")
            }
            self.archive = archive
            for code in [
                archive_read_support_filter_gzip(archive), archive_read_support_filter_bzip2(archive),
                archive_read_support_filter_xz(archive), archive_read_support_filter_zstd(archive), formats(archive),
            ] where code != ARCHIVE_OK {
                throw TarError(
                    code: .unavailable, message: archiveMessage(archive), hint: "install libarchive with gzip, bzip2, xz and zstd")
            }
        }

        deinit { archive_read_free(archive) }
    }
}
