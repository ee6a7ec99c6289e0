import CIsal

/// Unpacks gzip (RFC 1952) with ISA-L: any number of members, one after the other, each with its checksum and
/// length verified. Whatever follows the last member must be another member.
final class GzipDecompressor: Decompressor {
    private let state = UnsafeMutablePointer<inflate_state>.allocate(capacity: 1)
    private var members = 0
    private var inMember = false

    deinit { state.deallocate() }

    func decompress(_ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws -> Int {
        if !inMember {
            guard let first = input.first else {
                if members > 0 { return 0 }
                throw DamagedStream(reason: "it is empty")
            }
            guard first == 0x1f, input.count < 2 || input[1] == 0x8b else {
                throw DamagedStream(reason: "there are bytes after the end of the gzip stream")
            }
            isal_inflate_init(state)
            state.pointee.crc_flag = UInt32(ISAL_GZIP)
            inMember = true
        }
        let atEnd = input.isEmpty
        // ISA-L declares its input mutable and only reads it.
        state.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        state.pointee.avail_in = UInt32(input.count)
        state.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        state.pointee.avail_out = UInt32(output.count)
        let code = isal_inflate(state)
        guard code == ISAL_DECOMP_OK || code == ISAL_END_INPUT else { throw DamagedStream(reason: Self.reason(code)) }
        let taken = input.count - Int(state.pointee.avail_in)
        let made = output.count - Int(state.pointee.avail_out)
        input = UnsafeRawBufferPointer(rebasing: input[taken...])
        if state.pointee.block_state == ISAL_BLOCK_FINISH, state.pointee.avail_out > 0 {
            inMember = false
            members += 1
        } else if made == 0, atEnd {
            throw DamagedStream(reason: "the gzip stream is cut short")
        } else if made == 0, taken == 0 {
            throw DamagedStream(reason: "the gzip stream does not go on")
        }
        return made
    }

    private static func reason(_ code: Int32) -> String {
        switch code {
        case ISAL_INCORRECT_CHECKSUM: "the checksum of the gzip stream is wrong"
        case ISAL_INVALID_WRAPPER: "the gzip header is invalid"
        case ISAL_UNSUPPORTED_METHOD: "the gzip stream does not hold deflate"
        case ISAL_INVALID_LOOKBACK: "the gzip stream refers to data before its start"
        default: "the gzip stream is damaged (\(code))"
        }
    }
}
