import CZstd

/// Unpacks zstd (RFC 8878): any number of frames, skippable ones included. A window above 128 MiB is refused, so memory
/// is bounded.
final class ZstdDecompressor: Decompressor {
    private let stream: OpaquePointer
    private var frames = 0
    private var inFrame = false

    init() throws {
        guard let stream = ZSTD_createDStream() else {
            throw TarError(code: .unavailable, message: "libzstd has no memory", hint: "free some memory")
        }
        self.stream = stream
        try check(ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, 27))
    }

    deinit { ZSTD_freeDStream(stream) }

    func decompress(_ input: inout UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws -> Int {
        let atEnd = input.isEmpty
        if atEnd, !inFrame {
            if frames > 0 { return 0 }
            throw DamagedStream(reason: "it is empty")
        }
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
        let left = try check(ZSTD_decompressStream(stream, &target, &source))
        input = UnsafeRawBufferPointer(rebasing: input[source.pos...])
        inFrame = left != 0
        if left == 0 { frames += 1 }
        if inFrame, target.pos == 0 {
            if atEnd { throw DamagedStream(reason: "the zstd stream is cut short") }
            if source.pos == 0 { throw DamagedStream(reason: "the zstd stream does not go on") }
        }
        return target.pos
    }

    @discardableResult
    private func check(_ code: Int) throws -> Int {
        guard ZSTD_isError(code) == 0 else {
            switch ZSTD_getErrorCode(code) {
            case ZSTD_error_prefix_unknown where frames > 0:
                throw DamagedStream(reason: "there are bytes after the end of the zstd stream")
            case ZSTD_error_frameParameter_windowTooLarge:
                throw DamagedStream(reason: "its zstd window is larger than 128 MiB")
            default: throw DamagedStream(reason: "the zstd stream is damaged: \(String(cString: ZSTD_getErrorName(code)))")
            }
        }
        return code
    }
}
