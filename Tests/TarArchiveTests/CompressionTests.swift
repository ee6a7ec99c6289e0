import CIsal
import Foundation
import OCIModel
import SystemPackage
import Testing

@testable import TarArchive

@Suite struct CompressionTests {
    /// What the sample must compress to: it stands for ISA-L's version and the processor's code path.
    @Test(arguments: 0...2) func isalCompressesAsEverywhere(level: Int) throws {
        #expect(CompressionSample.result(level) == CompressionSample.expected[level])
        try CompressionSample.check(.gzip(level: level))
    }

    /// Golden: any change here changes every image ever built with these settings.
    @Test(arguments: [
        (Compression.none, goldenDiffID),
        (.gzip(level: 0), "e0f305a6434fd111cd83453f3d8df06815676c56c8bdf58b3a03a5b63be7db38"),
        (.gzip(level: 1), goldenDigest),
        (.gzip(level: 2), "1a7656a9d58f26dc96b83747ceea553bffc5fa9e14061f0f42551c0a37a0ae1b"),
        (.zstd(level: 1), "8ac3478617306843874ca879f35aeaf4af1faddf4138d6137cac361a79c110a4"),
        (.zstd(level: 3), "67a40ccb7a58e80afa76a1033517487b9b6af77221252f5f65c67f788815eb00"),
        (.zstd(level: 12), "b60753506d349c690511c3eb2ad2167cf02a3158b31583c6e2cd5a3c5be5b922"),
    ])
    func bytesDependOnNothingButTheSettings(compression: Compression, digest: String) throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        var found: Set<LayerSummary> = []
        for threads in [1, 2, 8] {
            let file = scratch.path.appending("\(threads)")
            let consumer = Collector()
            let summary = try LayerCompressor.compress(to: file, compression: compression, threads: threads, consumer: consumer) {
                try TarWriter.write(sampleEntries, timestamp: 1_700_000_000, to: $0)
            }
            // The consumer saw what the file holds, in order.
            #expect(Digest.sha256(consumer.bytes) == summary.digest)
            #expect(try Digest.sha256(Array(Data(contentsOf: URL(fileURLWithPath: file.string)))) == summary.digest)
            found.insert(summary)
        }
        let summary = try #require(found.first)
        #expect(found.count == 1)
        #expect(summary.diffID.hex == goldenDiffID)
        #expect(summary.digest.hex == digest)
        #expect(summary.descriptor.mediaType == compression.mediaType)
    }

    /// What ISA-L makes of a whole block depends on where its state is in memory, one 64 KiB differing from the next; ours must not.
    /// Texts whose beginning comes again are those it matters to.
    @Test(arguments: 0...2) func bytesDependOnNoAddress(level: Int) throws {
        let (step, places) = (64 << 10, 8192)
        let size = step * places + MemoryLayout<isal_zstream>.size
        let region = try #require(mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
        defer { munmap(region, size) }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(isal_level2_buffer_size), alignment: 64)
        let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 10, alignment: 64)
        defer { for buffer in [memory, output] { buffer.deallocate() } }
        let sample = CompressionSample.sample()
        var texts = (0..<8).map { number in
            let text = Array(sample[(number * 1000)..<(number * 1000 + 40)])
            return text + text[0..<4] + text[20..<40] + text[1..<5] + text[10..<30]
        }
        texts += [5, 8, 9, 12, 24, 25].map { Array(sample[..<$0]) }
        var found = texts.map { _ in Set<[UInt8]>() }
        for place in 0..<places {
            let stream = (region + place * step).bindMemory(to: isal_zstream.self, capacity: 1)
            for number in texts.indices {
                let written = texts[number].withUnsafeMutableBytes {
                    Deflater.compress($0, into: output, level: UInt32(level), stream: stream, memory: memory)
                }
                found[number].insert(Array(output[..<(try #require(written))]))
            }
            if place % 64 == 63 { madvise(region + (place - 63) * step, 64 * step, MADV_DONTNEED) }
        }
        #expect(found.map(\.count) == texts.map { _ in 1 })
    }

    @Test(arguments: [0, 1, (1 << 20) + 1]) func zstdReadsIt(size: Int) throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = scratch.path.appending("x.zst")
        let bytes = sampleBytes(size)
        let summary = try LayerCompressor.compress(to: file, compression: .zstd(level: 3), threads: 2) { sink in
            try bytes.withUnsafeBytes { try sink.write($0) }
        }
        #expect(summary.diffID == Digest.sha256(bytes))
        #expect(try run("sh", "-c", "zstd -dc '\(file)' | sha256sum").hasPrefix(summary.diffID.hex))
        #expect(try LayerBytes.open(file) { try $0.finish() } == summary.diffID)
    }

    @Test(arguments: [("gzip", 3), ("gzip", -1), ("zstd", 0), ("zstd", 20), ("none", 1), ("xz", 1)])
    func otherSettingsAreRefused(name: String, level: Int) {
        #expect(throws: TarError.self) { try Compression(name: name, level: level) }
    }

    @Test func aConsumerThatFailsEndsTheWork() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = scratch.path.appending("x.gz")
        let bytes = sampleBytes(5 << 20)
        let consumer = Collector(limit: 1 << 20)
        #expect(throws: TarError.self) {
            try LayerCompressor.compress(to: file, threads: 2, consumer: consumer) { sink in
                try bytes.withUnsafeBytes { try sink.write($0) }
            }
        }
        #expect(!FileManager.default.fileExists(atPath: file.string))
    }
}

/// Takes what it is given, up to a limit.
private final class Collector: TarSink {
    private(set) var bytes: [UInt8] = []
    private let limit: Int
    init(limit: Int = .max) { self.limit = limit }
    func write(_ piece: UnsafeRawBufferPointer) throws {
        guard bytes.count + piece.count <= limit else {
            throw TarError(code: .limitExceeded, message: "enough", hint: "")
        }
        bytes += piece
    }
}
