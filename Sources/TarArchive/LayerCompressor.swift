import Dispatch
import Glibc
public import OCIModel
import Synchronization
public import SystemPackage

/// A finished layer file.
public struct LayerSummary: Sendable, Hashable {
    /// Digest of the uncompressed archive.
    public let diffID: Digest
    /// Digest and size of the file as it is stored and travels.
    public let digest: Digest
    public let size: Int64
    public let uncompressedSize: Int64
    public let compression: Compression

    /// The layer as a manifest lists it.
    public var descriptor: Descriptor { Descriptor(mediaType: compression.mediaType, digest: digest, size: size) }
}

/// Turns the bytes of an archive into a layer file, in one pass, on several threads.
///
/// The input is cut into blocks of 1 MiB, each compressed on its own and written in order, as one gzip member or one
/// zstd frame per block: the file depends on the input only, never on the number of threads. At most
/// `2 × threads + 2` blocks, and never more than 34, are in memory.
public final class LayerCompressor: TarSink {
    private let pipeline: Pipeline
    private var current: Pipeline.Block?
    private let compression: Compression
    private var diffID = Digest.Hasher()
    private var checksum = GzipChecksum()
    private var total: Int64 = 0
    private var index = 0

    /// Creates `file` (which must be new), lends a sink to `body`, completes the file. Blocking: call on a
    /// `BlockingQueue`. The file is removed when something fails; it is not synced.
    ///
    /// - Parameter consumer: gets the file's bytes in order while it is written, from changing threads, one call at a
    ///   time; what it throws ends the work. All bytes have been handed over when this returns.
    public static func compress(
        to file: FilePath, compression: Compression = .standard, threads: Int, consumer: (any TarSink)? = nil,
        _ body: (LayerCompressor) throws -> Void
    ) throws -> LayerSummary {
        try CompressionSample.check(compression)
        let output = try OpenFile(file, O_WRONLY | O_CREAT | O_EXCL)
        do {
            let pipeline = Pipeline(
                descriptor: output.descriptor, name: file.string, compression: compression,
                threads: max(1, min(threads, 16)), consumer: consumer)
            let compressor = LayerCompressor(pipeline, compression)
            // Threads must be gone before the descriptor is closed.
            defer { compressor.pipeline.stop() }
            try body(compressor)
            return try compressor.finish()
        } catch {
            _ = file.withPlatformString { unlink($0) }
            throw error
        }
    }

    private init(_ pipeline: Pipeline, _ compression: Compression) {
        self.pipeline = pipeline
        self.compression = compression
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let block = try current ?? pipeline.freeBlock()
            current = block
            let count = min(rest.count, BlockCompressor.blockSize - block.count)
            UnsafeMutableRawBufferPointer(rebasing: block.input[block.count..<block.count + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
            block.count += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            if block.count == BlockCompressor.blockSize { submit(block) }
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
            switch compression {
            case .none: break  // The file's digest is the archive's.
            case .zstd: diffID.update(UnsafeRawBufferPointer(bytes))
            case .gzip:
                diffID.update(UnsafeRawBufferPointer(bytes))
                checksum.update(bytes)
            }
        }
    }

    private func finish() throws -> LayerSummary {
        if let block = current {
            submit(block)
        } else if index == 0, case .zstd = compression {
            // No frame at all would be no zstd file.
            submit(try pipeline.freeBlock())
        }
        pipeline.stop()
        let (digest, size) = try pipeline.close(with: trailer)
        return LayerSummary(
            diffID: compression == .none ? digest : diffID.finalize(), digest: digest, size: size, uncompressedSize: total,
            compression: compression)
    }

    private var trailer: [UInt8] {
        guard case .gzip = compression else { return [] }
        // A last, empty block in fixed Huffman codes; then CRC-32 and length, little-endian (RFC 1951, RFC 1952).
        var trailer: [UInt8] = [0x03, 0x00]
        for value in [checksum.value, UInt32(truncatingIfNeeded: total)] {
            for shift in [0, 8, 16, 24] as [UInt32] { trailer.append(UInt8(truncatingIfNeeded: value >> shift)) }
        }
        return trailer
    }
}
