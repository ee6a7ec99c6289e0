import CLibarchive
import Glibc
public import OCIModel
public import SystemPackage

/// The uncompressed bytes of a file that is plain, gzip or zstd, hashed as they are read.
///
/// Blocking, and for one thread only.
public final class LayerBytes {
    private let archive: OpaquePointer
    private let name: String
    private var hasher: Digest.Hasher
    private var ended = false
    private let limit: Int64
    /// Uncompressed bytes so far.
    public private(set) var count: Int64 = 0

    /// Opens `file` and lends its bytes to `body`. More than `limit` uncompressed bytes throw `.limitExceeded`.
    public static func open<T>(
        _ file: FilePath, limit: Int64 = .max, algorithm: DigestAlgorithm = .sha256, _ body: (LayerBytes) throws -> T
    ) throws -> T {
        try withUTF8Names { try body(LayerBytes(file, limit: limit, algorithm: algorithm)) }
    }

    private init(_ file: FilePath, limit: Int64, algorithm: DigestAlgorithm) throws {
        hasher = Digest.Hasher(algorithm)
        guard let archive = archive_read_new() else {
            throw TarError(code: .unavailable, message: "libarchive has no memory", hint: "")
        }
        self.archive = archive
        self.limit = limit
        name = file.string
        for code in [
            archive_read_support_filter_gzip(archive), archive_read_support_filter_zstd(archive),
            archive_read_support_format_raw(archive), archive_read_support_format_empty(archive),
        ] where code != ARCHIVE_OK {
            throw TarError(code: .unavailable, message: archiveMessage(archive), hint: "install libarchive with gzip and zstd")
        }
        try check(file.withPlatformString { archive_read_open_filename(archive, $0, 1 << 18) })
        var entry: OpaquePointer?
        let code = archive_read_next_header(archive, &entry)
        if code == ARCHIVE_EOF { ended = true } else { try check(code) }
    }

    deinit { archive_read_free(archive) }

    /// The next piece, valid until the following call; nil at the end. Only a proper end is an end: a compressed
    /// stream that is cut short throws.
    public func next() throws -> UnsafeRawBufferPointer? {
        while !ended {
            var bytes: UnsafeRawPointer?
            var size = 0
            var offset: la_int64_t = 0
            let code = archive_read_data_block(archive, &bytes, &size, &offset)
            if code == ARCHIVE_EOF {
                ended = true
                break
            }
            try check(code)
            guard size > 0 else { continue }
            let piece = UnsafeRawBufferPointer(start: bytes, count: size)
            count += Int64(size)
            guard count <= limit else {
                throw TarError(
                    code: .limitExceeded, message: "\(name) unpacks to more than \(limit) bytes",
                    hint: "raise the limit if you trust the image")
            }
            hasher.update(piece)
            return piece
        }
        return nil
    }

    /// Reads to the end and returns the digest of all uncompressed bytes.
    public func finish() throws -> Digest {
        while try next() != nil {}
        return hasher.finalize()
    }

    private func check(_ code: Int32) throws {
        guard code == ARCHIVE_OK else {
            throw TarError(
                code: .invalidArchive, message: "cannot read \(name): \(archiveMessage(archive))",
                hint: "the file is damaged or cut short; fetch it again")
        }
    }
}
