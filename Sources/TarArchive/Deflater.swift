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
        Self.compress(input, into: output, level: level, stream: stream, memory: memory)
    }

    /// A stream that begins with more than 16 bytes hashes its third position by the address of `stream` instead of by its bytes
    /// (levels 1 and 2 of ISA-L 2.30, `isal_deflate_icf_body_hash_hist`), so that now and then a match is missed. Fewer bytes take
    /// another way. From 4 on they count as history, and what follows is compressed by what it is.
    private static let opening = 8

    /// With memory of the caller.
    static func compress(
        _ input: UnsafeMutableRawBufferPointer, into output: UnsafeMutableRawBufferPointer, level: UInt32,
        stream: UnsafeMutablePointer<isal_zstream>, memory: UnsafeMutableRawBufferPointer
    ) -> Int? {
        isal_deflate_init(stream)
        stream.pointee.level = level
        stream.pointee.level_buf = memory.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.level_buf_size = UInt32(memory.count)
        stream.pointee.end_of_stream = 0
        stream.pointee.gzip_flag = UInt16(IGZIP_DEFLATE)
        stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(output.count)
        func take(_ count: Int, _ flush: Int32) -> Bool {
            stream.pointee.avail_in = UInt32(count)
            stream.pointee.flush = UInt16(flush)
            return isal_deflate(stream) == COMP_OK && stream.pointee.avail_in == 0 && stream.pointee.avail_out > 0
        }
        let first = level > 0 && input.count > opening ? opening : 0
        guard first == 0 || take(first, SYNC_FLUSH), take(input.count - first, FULL_FLUSH) else { return nil }
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
