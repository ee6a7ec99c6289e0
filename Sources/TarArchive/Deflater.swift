import CIsal

/// Compresses independent blocks with ISA-L, level 1: raw deflate that ends on a byte boundary (full flush) and
/// refers to nothing before the block, so that the compressed blocks of a stream can simply be joined.
/// One instance belongs to one thread.
struct Deflater: ~Copyable {
    static let blockSize = 1 << 20
    /// Incompressible input grows by five bytes per stored block; this is generous.
    static let outputSize = blockSize + (blockSize >> 3)

    private let stream = UnsafeMutablePointer<isal_zstream>.allocate(capacity: 1)
    private let level = UnsafeMutablePointer<UInt8>.allocate(capacity: Int(isal_level1_buffer_size))

    deinit {
        stream.deallocate()
        level.deallocate()
    }

    /// Returns the number of bytes written to `output`; nil when they did not fit.
    func compress(_ input: UnsafeMutableRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
        isal_deflate_init(stream)
        stream.pointee.level = 1
        stream.pointee.level_buf = level
        stream.pointee.level_buf_size = UInt32(isal_level1_buffer_size)
        stream.pointee.flush = UInt16(FULL_FLUSH)
        stream.pointee.end_of_stream = 0
        stream.pointee.gzip_flag = UInt16(IGZIP_DEFLATE)
        stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(input.count)
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(output.count)
        guard isal_deflate(stream) == COMP_OK, stream.pointee.avail_in == 0, stream.pointee.avail_out > 0 else { return nil }
        return Int(stream.pointee.total_out)
    }
}

/// CRC-32 as gzip wants it, continued over pieces.
struct GzipChecksum {
    private(set) var value: UInt32 = 0

    mutating func update(_ bytes: UnsafeMutableRawBufferPointer) {
        value = crc32_gzip_refl(value, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count))
    }
}
