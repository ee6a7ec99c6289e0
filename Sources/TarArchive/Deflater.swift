import CIsal

/// Compresses independent blocks with ISA-L: raw deflate that ends on a byte boundary (full flush) and refers to
/// nothing before the block. One instance belongs to one thread.
struct Deflater: ~Copyable {
    private let stream = UnsafeMutablePointer<isal_zstream>.allocate(capacity: 1)
    private let memory: UnsafeMutableRawBufferPointer
    private let level: UInt32

    /// Level 0 to 2: from 3 on, ISA-L's output depends on the processor.
    init(level: Int) {
        self.level = UInt32(max(0, min(level, 2)))
        memory = .allocate(
            byteCount: [1, Int(isal_level1_buffer_size), Int(isal_level2_buffer_size)][Int(self.level)], alignment: 64)
    }

    deinit {
        stream.deallocate()
        memory.deallocate()
    }

    /// Returns the number of bytes written to `output`; nil when they did not fit.
    func compress(_ input: UnsafeMutableRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
        isal_deflate_init(stream)
        stream.pointee.level = level
        stream.pointee.level_buf = memory.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.level_buf_size = UInt32(memory.count)
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
