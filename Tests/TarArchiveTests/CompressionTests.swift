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
        (.gzip(level: 2), "edd7abd86103ff7277febb3ee55982e91eb8b7446a4ca52205b693b0f7e63096"),
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
