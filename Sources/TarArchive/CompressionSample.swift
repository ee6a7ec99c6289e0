import OCIModel

/// Proof that ISA-L compresses here as it does everywhere else.
///
/// ISA-L picks its code by the processor. Levels 0 to 2 give the same bytes on every x86-64 processor with SSE 4.2;
/// older ones, and other architectures, run other code with other results. A sample is compressed once per process and
/// level, and compared with what it must be.
enum CompressionSample {
    /// Throws ``TarError`` with code `unavailable` when gzip would make other digests than elsewhere.
    static func check(_ compression: Compression) throws(TarError) {
        guard case .gzip(let level) = compression, expected.indices.contains(level), result(level) != expected[level]
        else { return }
        throw TarError(
            code: .unavailable,
            message: "gzip of ISA-L gives other bytes on this processor than elsewhere: the image's digest would not be the same",
            hint: "use --compression zstd or none, or build on an x86-64 processor with SSE 4.2")
    }

    /// By level. ISA-L 2.30.
    static let expected = [
        "eb98c1e44aaa6b7db660eefdd511eea9f04fef96ad6f56ea2873898134d1627f",
        "5637fec8678f60e78036d5c5d3b815d314dd955cc4540e6e65489714b2b5d370",
        "6aa3dd4d10d07648503616b97f1b448fa29477d31cd535d880da57aaf9bd81b7",
    ]

    static func result(_ level: Int) -> String {
        switch level {
        case 0: level0
        case 1: level1
        default: level2
        }
    }

    private static let level0 = compressed(0)
    private static let level1 = compressed(1)
    private static let level2 = compressed(2)

    private static func compressed(_ level: Int) -> String {
        let output = UnsafeMutableRawBufferPointer.allocate(byteCount: BlockCompressor.outputSize, alignment: 64)
        defer { output.deallocate() }
        var input = sample()
        let deflater = Deflater(level: level)
        guard let count = input.withUnsafeMutableBytes({ deflater.compress($0, into: output) }) else { return "" }
        return Digest.sha256(Array(output[..<count])).hex
    }

    /// 96 KiB that look like text with repetitions near and far, with a stretch that does not compress.
    static func sample() -> [UInt8] {
        var state: UInt64 = 0x5117_3a9e
        func next(_ limit: UInt64) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % limit)
        }
        let words = (0..<300).map { _ in (0..<(2 + next(9))).map { _ in UInt8(97 + next(26)) } }
        var bytes: [UInt8] = []
        while bytes.count < 80 << 10 {
            bytes += words[min(next(300), next(300))]
            bytes.append(next(12) == 0 ? 10 : 32)
            if next(500) == 0 { bytes += [UInt8](repeating: 0, count: 40 + next(300)) }
        }
        while bytes.count < 96 << 10 { bytes.append(UInt8(next(256))) }
        return bytes
    }
}
