import Foundation
import OCIModel
import SystemPackage
import TarArchive
import Testing

final class Scratch: Sendable {
    let path: FilePath
    init() throws {
        path = FilePath(FileManager.default.temporaryDirectory.path).appending("slipway-tar-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
    }
    func remove() { try? FileManager.default.removeItem(atPath: path.string) }
    func folder(_ name: String) throws -> FilePath {
        let folder = path.appending(name)
        try FileManager.default.createDirectory(atPath: folder.string, withIntermediateDirectories: true)
        return folder
    }
}

/// Runs a real program and returns what it printed; a program that is missing or fails fails the test.
@discardableResult
func run(_ arguments: String..., in folder: FilePath? = nil) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder.string) }
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: data, as: UTF8.self)
    try #require(process.terminationStatus == 0, "\(arguments) failed (is the package installed?): \(text)")
    return text
}

/// Bytes that neither compress away nor change from run to run.
func sampleBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: (state >> 59) &+ 0x60)
    }
}

let sampleEntries: [TarEntry] =
    [
        TarEntry(path: "app", content: .directory, mode: 0o755),
        TarEntry(path: "app/big", content: .bytes(sampleBytes(3_500_000)), mode: 0o644),
        TarEntry(path: "app/grüße.txt", content: .bytes(Array("hej".utf8)), mode: 0o640, uid: 7, gid: 8),
        TarEntry(path: "app/link", content: .symlink("grüße.txt"), mode: 0o777),
        TarEntry(path: "app/\(String(repeating: "long", count: 60))", content: .bytes([]), mode: 0o4755),
    ].sortedForArchive()

func layer(_ entries: [TarEntry], in scratch: Scratch, threads: Int = 2) throws -> (FilePath, LayerSummary) {
    let file = scratch.path.appending("\(UUID().uuidString).tar.gz")
    let summary = try LayerCompressor.compress(to: file, threads: threads) { sink in
        try TarWriter.write(entries, timestamp: 1_700_000_000, to: sink)
    }
    return (file, summary)
}

func tarCode(_ body: () throws -> Void) -> TarError.Code? {
    do {
        try body()
        return nil
    } catch { return (error as? TarError)?.code }
}

@Suite struct LayerWritingTests {
    @Test func bytesDoNotDependOnThreads() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let summaries = try [1, 2, 8].map { try layer(sampleEntries, in: scratch, threads: $0).1 }
        #expect(Set(summaries).count == 1)
        // Golden: any change here changes every image ever built.
        #expect(summaries[0].diffID.hex == goldenDiffID)
        #expect(summaries[0].digest.hex == goldenDigest)
    }

    @Test func otherToolsReadIt() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let (file, summary) = try layer(sampleEntries, in: scratch)
        try run("gzip", "-t", file.string)
        let hash = try run("sh", "-c", "gzip -dc '\(file)' | sha256sum")
        #expect(hash.hasPrefix(summary.diffID.hex))
        let listing = try run("env", "LC_ALL=C.UTF-8", "tar", "--numeric-owner", "--utc", "-tvf", file.string)
        #expect(listing.contains("-rw-r----- 7/8"))
        #expect(listing.contains("app/grüße.txt"))
        #expect(listing.contains("-rwsr-xr-x 0/0"))
        #expect(listing.split(separator: "\n").allSatisfy { $0.contains("2023-11-14 22:13") })
    }

    @Test(arguments: [0, 1, 1 << 20, (1 << 20) + 1])
    func blockBordersHold(size: Int) throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = scratch.path.appending("x.gz")
        let bytes = sampleBytes(size)
        let summary = try LayerCompressor.compress(to: file, threads: 2) { sink in
            try bytes.withUnsafeBytes { try sink.write($0) }
        }
        #expect(summary.diffID == Digest.sha256(bytes))
        #expect(summary.uncompressedSize == Int64(size))
        #expect(try run("sh", "-c", "gzip -dc '\(file)' | sha256sum").hasPrefix(summary.diffID.hex))
    }

    @Test func failureLeavesNoFile() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = scratch.path.appending("x.gz")
        let missing = TarEntry(path: "x", content: .file("/nonexistent/file"), mode: 0o644)
        #expect(throws: TarError.self) {
            try LayerCompressor.compress(to: file, threads: 2) { try TarWriter.write([missing], timestamp: 0, to: $0) }
        }
        #expect(!FileManager.default.fileExists(atPath: file.string))
    }
}

let goldenDiffID = "65caa2693ce09d1c80f50703ce8c23243bb73215e26a98d8178b91e6daf7168e"
let goldenDigest = "ddff4fbf4bf536647227546d0605a7866351e585d0ead66ad3e4b6a4a2c353ea"
