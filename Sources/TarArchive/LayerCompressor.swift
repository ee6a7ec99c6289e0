import Dispatch
import Glibc
public import OCIModel
import Synchronization
public import SystemPackage

/// A finished layer file.
public struct LayerSummary: Sendable, Hashable {
    /// Digest of the uncompressed archive.
    public let diffID: Digest
    /// Digest and size of the gzip file.
    public let digest: Digest
    public let size: Int64
    public let uncompressedSize: Int64
}

/// Turns the bytes of an archive into a gzip file, in one pass, on several threads.
///
/// The input is cut into blocks of 1 MiB, each compressed on its own and written in order as one gzip member, so
/// the file depends on the input only, never on the number of threads. At most `2 × threads + 2` blocks are in memory.
public final class LayerCompressor: TarSink {
    private let pipeline: Pipeline
    private var current: Pipeline.Block?
    private var diffID = Digest.Hasher()
    private var checksum = GzipChecksum()
    private var total: Int64 = 0
    private var index = 0

    /// Creates `file` (which must be new), lends a sink to `body`, completes the file. Blocking: call on a
    /// `BlockingQueue`. The file is removed when something fails; it is not synced.
    public static func compress(
        to file: FilePath, threads: Int, _ body: (LayerCompressor) throws -> Void
    ) throws -> LayerSummary {
        let output = try OpenFile(file, O_WRONLY | O_CREAT | O_EXCL)
        do {
            let compressor = LayerCompressor(descriptor: output.descriptor, name: file.string, threads: threads)
            // Threads must be gone before the descriptor is closed.
            defer { compressor.pipeline.stop() }
            try body(compressor)
            return try compressor.finish()
        } catch {
            _ = file.withPlatformString { unlink($0) }
            throw error
        }
    }

    private init(descriptor: Int32, name: String, threads: Int) {
        pipeline = Pipeline(descriptor: descriptor, name: name, threads: max(1, min(threads, 64)))
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let block = try current ?? pipeline.freeBlock()
            current = block
            let count = min(rest.count, Deflater.blockSize - block.count)
            UnsafeMutableRawBufferPointer(rebasing: block.input[block.count..<block.count + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
            block.count += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            if block.count == Deflater.blockSize { submit(block) }
        }
    }

    private func submit(_ block: Pipeline.Block) {
        let bytes = UnsafeMutableRawBufferPointer(rebasing: block.input[..<block.count])
        block.index = index
        total += Int64(block.count)
        index += 1
        current = nil
        // Compression may begin while we hash: both only read.
        pipeline.submit(block) {
            diffID.update(UnsafeRawBufferPointer(bytes))
            checksum.update(bytes)
        }
    }

    private func finish() throws -> LayerSummary {
        if let block = current { submit(block) }
        pipeline.stop()
        // A last, empty block in fixed Huffman codes; then CRC-32 and length, little-endian (RFC 1951, RFC 1952).
        var trailer: [UInt8] = [0x03, 0x00]
        for value in [checksum.value, UInt32(truncatingIfNeeded: total)] {
            for shift in [0, 8, 16, 24] as [UInt32] { trailer.append(UInt8(truncatingIfNeeded: value >> shift)) }
        }
        let (digest, size) = try pipeline.close(with: trailer)
        return LayerSummary(diffID: diffID.finalize(), digest: digest, size: size, uncompressedSize: total)
    }
}
