import Foundation
import SystemPackage
import Testing

@testable import TarArchive

@Suite struct SeekableZstdTests {
    private func with(_ text: Data, _ body: (FilePath, SeekableZstdReader) throws -> Void) throws {
        let folder = FilePath(NSTemporaryDirectory()).appending("slipway-seekable-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: folder.string, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder.string) }
        let plain = folder.appending("plain"), packed = folder.appending("packed.zst")
        try text.write(to: URL(filePath: plain.string))
        let input = try FileDescriptor.open(plain, .readOnly)
        defer { try? input.close() }
        let output = try FileDescriptor.open(packed, .readWrite, options: [.create], permissions: [.ownerReadWrite])
        defer { try? output.close() }
        try SeekableZstd.compress(input, to: output)
        try body(packed, SeekableZstdReader(output))
    }

    private func text(_ bytes: Int) -> Data {
        var state: UInt64 = 7
        return Data(
            (0..<bytes).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1
                return UInt8(97 + (state >> 60))
            })
    }

    private func read(_ reader: SeekableZstdReader, from offset: Int64, _ count: Int) throws -> Data {
        var buffer = [UInt8](repeating: 0, count: count)
        let got = try buffer.withUnsafeMutableBytes { try reader.read(at: offset, into: $0) }
        return Data(buffer[..<got])
    }

    @Test func everyPlaceReadsAsItWasWritten() throws {
        let all = text(SeekableZstd.frameSize * 3 + 12_345)
        try with(all) { file, reader in
            #expect(reader.size == Int64(all.count))
            for begin in [0, 1, SeekableZstd.frameSize - 3, SeekableZstd.frameSize, SeekableZstd.frameSize * 3 + 12_344] {
                let got = try read(reader, from: Int64(begin), 100)
                #expect(!got.isEmpty && got == all[begin..<(begin + got.count)])
            }
            let rest = try read(reader, from: Int64(all.count), 10)
            #expect(rest.isEmpty)
            let size = try #require(try FileManager.default.attributesOfItem(atPath: file.string)[.size] as? Int)
            #expect(size < all.count * 2 / 3)
            // Whoever knows zstd reads it whole.
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/zstd")
            process.arguments = ["-dcq", file.string]
            let pipe = Pipe()
            process.standardOutput = pipe
            try process.run()
            let whole = try pipe.fileHandleForReading.readToEnd()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0 && whole == all)
        }
    }

    @Test func nothingIsAFileToo() throws {
        try with(Data()) { _, reader in
            #expect(reader.size == 0)
            let got = try read(reader, from: 0, 10)
            #expect(got.isEmpty)
        }
    }

    @Test func damageIsToldAndNeverTraps() throws {
        let all = text(SeekableZstd.frameSize * 2)
        try with(all) { file, _ in
            let good = try Data(contentsOf: URL(filePath: file.string))
            var state: UInt64 = 11
            var found = 0
            for round in 0..<300 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                var bad = good
                if round % 3 == 0 {
                    bad = good.prefix(Int(state >> 33) % good.count)
                } else {
                    // Every second damage is in the table.
                    let place = round % 2 == 0 ? Int(state >> 33) % good.count : good.count - 1 - Int(state >> 33) % 33
                    bad[place] ^= UInt8(truncatingIfNeeded: (state >> 20) | 1)
                }
                try bad.write(to: URL(filePath: file.string))
                let input = try FileDescriptor.open(file, .readOnly)
                defer { try? input.close() }
                do {
                    let reader = try SeekableZstdReader(input)
                    for begin in stride(from: Int64(0), to: reader.size, by: 100_000) {
                        let got = try read(reader, from: begin, 1000)
                        #expect(reader.size != Int64(all.count) || got == all[Int(begin)..<(Int(begin) + got.count)])
                    }
                } catch let error as TarError {
                    #expect(error.code == .invalidArchive, "\(error)")
                    found += 1
                }
            }
            #expect(found > 250)
        }
    }
}
