import Foundation
import OCIModel
import SystemPackage
import TarArchive
import Testing

@Suite struct CompressionReadingTests {
    /// What a program makes of bytes.
    private func packed(_ bytes: [UInt8], _ command: String, _ scratch: Scratch) throws -> [UInt8] {
        let file = scratch.path.appending("in-\(UUID().uuidString)").string
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        try run("sh", "-c", "\(command) < '\(file)' > '\(file).out'")
        return Array(try Data(contentsOf: URL(fileURLWithPath: file + ".out")))
    }

    private func sample() -> [UInt8] {
        var tar = TarBytes()
        tar.add(Array("big".utf8), data: sampleBytes(700_000))
        return tar.ended
    }

    @Test(arguments: ["gzip -c", "gzip -1c", "pigz -c", "zstd -qc", "zstd -19 -qc", "zstd --long=27 -qc", "cat"])
    func readsWhatOthersWrite(command: String) throws {
        let layers = try Unpacked()
        let plain = sample()
        try layers.add(bytes: packed(plain, command, layers.scratch), expecting: Digest.sha256(plain))
        #expect(layers.text("big")?.utf8.count == 700_000)
    }

    @Test(arguments: ["gzip -c", "zstd -qc"])
    func membersFollowEachOther(command: String) throws {
        let layers = try Unpacked()
        let plain = sample()
        let cuts = [0, 1, 511, 100_000, 262_144, 500_000, plain.count]
        var bytes: [UInt8] = []
        for (start, end) in zip(cuts, cuts.dropFirst()) { bytes += try packed(Array(plain[start..<end]), command, layers.scratch) }
        bytes += try packed([], command, layers.scratch)
        try layers.add(bytes: bytes, expecting: Digest.sha256(plain))
    }

    @Test func skippableFramesAreSkipped() throws {
        let layers = try Unpacked()
        let frame: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]
        let plain = sample()
        try layers.add(bytes: frame + packed(plain, "zstd -qc", layers.scratch) + frame, expecting: Digest.sha256(plain))
    }

    @Test(arguments: ["gzip -c", "zstd -qc"])
    func cutsAreSeenEverywhere(command: String) throws {
        let layers = try Unpacked()
        let bytes = try packed(sample(), command, layers.scratch)
        for length in [4, 5, 10, 17, 18, 100, bytes.count / 2, bytes.count - 9, bytes.count - 8, bytes.count - 4, bytes.count - 1] {
            #expect(layers.error(Array(bytes.prefix(length)))?.code == .invalidArchive, "\(length) bytes of \(bytes.count)")
        }
    }

    @Test(arguments: ["gzip -c", "zstd -qc"])
    func rubbishBehindIsRefused(command: String) throws {
        let layers = try Unpacked()
        let bytes = try packed(sample(), command, layers.scratch)
        for rubbish in [[0], [0x1f], [0x1f, 0x8b], Array("rubbish".utf8), [UInt8](repeating: 0, count: 512)] as [[UInt8]] {
            #expect(layers.error(bytes + rubbish)?.code == .invalidArchive, "\(rubbish.prefix(8))")
        }
    }

    @Test(arguments: ["gzip -c", "zstd -qc --check"])
    func aChangedBitIsSeen(command: String) throws {
        let layers = try Unpacked()
        let plain = sample()
        let bytes = try packed(plain, command, layers.scratch)
        for offset in [bytes.count / 3, bytes.count / 2, bytes.count - 6, bytes.count - 2] {
            var damaged = bytes
            damaged[offset] ^= 0x10
            #expect(tarCode { try layers.add(bytes: damaged) } == .invalidArchive, "at \(offset)")
        }
        #expect(tarCode { try layers.add(bytes: bytes, expecting: Digest.sha256([])) } == .digestMismatch)
    }

    @Test func emptyLayers() throws {
        let layers = try Unpacked()
        for bytes in [[], [UInt8](repeating: 0, count: 1024)] {
            try layers.add(bytes: bytes)
            try layers.add(bytes: packed(bytes, "gzip -c", layers.scratch))
            try layers.add(bytes: packed(bytes, "zstd -qc", layers.scratch))
        }
        #expect(layers.folders.count == 6)
        #expect(try layers.names().isEmpty)
    }

    @Test func theKindMustFit() throws {
        let layers = try Unpacked()
        for command in ["cat", "gzip -c", "zstd -qc"] {
            let bytes = try packed(sample(), command, layers.scratch)
            for (compression, own) in [(LayerCompression.none, "cat"), (.gzip, "gzip -c"), (.zstd, "zstd -qc")] {
                layers.options.compression = compression
                #expect(layers.error(bytes)?.code == (own == command ? nil : .invalidArchive))
            }
        }
    }
}

@Suite struct LayerLimitTests {
    @Test(arguments: ["gzip -9c", "zstd -19 -qc"])
    func bombsEndEarly(command: String) throws {
        let layers = try Unpacked()
        let file = layers.scratch.path.appending("bomb").string
        // A tar of one file of zeros: 200 MB in some kilobytes.
        let head = "import tarfile,sys; t=tarfile.TarInfo('zeros'); t.size=200000000; sys.stdout.buffer.write(t.tobuf())"
        try run("sh", "-c", "(python3 -c \"\(head)\"; head -c 200001024 /dev/zero) | \(command) > '\(file)'")
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: file)))
        layers.options.limits.ratioFrom = 10 << 20
        #expect(layers.error(bytes)?.names(.ratio) == true)
        layers.options.limits.ratio = 1_000_000
        layers.options.limits.bytes = 50_000_000
        #expect(layers.error(bytes)?.names(.bytes) == true)
        let out = try FileManager.default.contentsOfDirectory(atPath: layers.scratch.path.appending("rooms").string)
        #expect(out.count == 2 && layers.folders.isEmpty)
        layers.options.limits.bytes = 300_000_000
        #expect(layers.error(bytes) == nil)
    }

    @Test func entriesDepthAndNames() throws {
        let layers = try Unpacked()
        func error(_ fill: (inout TarBytes) -> Void) -> TarError? {
            var tar = TarBytes()
            fill(&tar)
            return layers.error(tar.ended)
        }
        layers.options.limits.entries = 3
        #expect(error { tar in for index in 0..<4 { tar.add("\(index)") } }?.names(.entries) == true)
        #expect(error { tar in for index in 0..<3 { tar.add("\(index)") } } == nil)
        let deep = String(repeating: "d/", count: 300)
        #expect(
            error { tar in
                tar.pax(["path": deep + "x"])
                tar.add("x")
            }?.names(.depth) == true)
        let long = String(repeating: "n", count: 256)
        #expect(
            error { tar in
                tar.pax(["path": long])
                tar.add("x")
            }?.names(.name) == true)
        let wide = (0..<20).map { _ in String(repeating: "w", count: 250) }.joined(separator: "/")
        #expect(
            error { tar in
                tar.pax(["path": wide])
                tar.add("x")
            }?.names(.path) == true)
        #expect(
            error { tar in
                tar.pax(["linkpath": wide])
                tar.add("x", type: "2")
            }?.names(.path) == true)
        #expect(
            error { tar in
                tar.pax(["linkpath": deep + "x"])
                tar.add("x", type: "1")
            }?.names(.depth) == true)
        layers.options.limits.depth = 400
        #expect(
            error { tar in
                tar.pax(["path": deep + "x"])
                tar.add("x")
            } == nil)
    }

    @Test func settingsHaveNames() {
        #expect(LayerLimits.Name.allCases.map(\.variable).sorted().first == "SLIPWAY_LAYERS_MAX_BYTES")
        var limits = LayerLimits()
        for (offset, name) in LayerLimits.Name.allCases.enumerated() { limits[name] = Int64(offset + 1) }
        #expect(LayerLimits.Name.allCases.map { limits[$0] } == [1, 2, 3, 4, 5, 6])
    }
}
