import CIsal
import CZstd

/// Compresses independent blocks, so that the compressed blocks of a stream can simply be joined:
/// raw deflate that ends on a byte boundary and refers to nothing before the block, or one zstd frame per block.
/// One instance belongs to one thread.
struct BlockCompressor: ~Copyable {
    static let blockSize = 1 << 20
    /// Room for what does not compress: deflate adds five bytes per stored block, zstd less. This is generous.
    static let outputSize = blockSize + (blockSize >> 3)

    private enum Engine: ~Copyable {
        case deflate(Deflater)
        case zstd(ZstdEncoder)
    }
    private let engine: Engine?

    /// Throws ``TarError`` with code `unavailable` when the library has no memory.
    init(_ compression: Compression) throws(TarError) {
        engine =
            switch compression {
            case .none: nil
            case .gzip(let level): .deflate(Deflater(level: level))
            case .zstd(let level): .zstd(try ZstdEncoder(level: level))
            }
    }

    /// Returns the number of bytes written to `output`; nil when the library refused.
    func compress(_ input: UnsafeMutableRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
        switch engine {
        case .deflate(let deflater): deflater.compress(input, into: output)
        case .zstd(let encoder): encoder.compress(input, into: output)
        case nil: nil
        }
    }
}

/// One zstd frame per block. Layers need no checksum: they have their digest.
struct ZstdEncoder: ~Copyable {
    private let context: OpaquePointer

    init(level: Int, hasChecksum: Bool = false) throws(TarError) {
        guard let context = ZSTD_createCCtx() else {
            throw TarError(code: .unavailable, message: "libzstd has no memory", hint: "")
        }
        self.context = context
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, hasChecksum ? 1 : 0)
    }

    deinit { ZSTD_freeCCtx(context) }

    func compress(_ input: UnsafeMutableRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
        let count = ZSTD_compress2(context, output.baseAddress, output.count, input.baseAddress, input.count)
        return ZSTD_isError(count) == 0 ? count : nil
    }
}
