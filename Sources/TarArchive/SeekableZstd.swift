import CZstd
public import SystemPackage

/// A zstd file that can be read from any place: frames of a fixed amount of text, then a table of them in a skippable frame
/// (zstd's seekable format, `contrib/seekable_format/zstd_seekable_compression_format.md`). Every zstd reader reads it as a whole.
public enum SeekableZstd {
    /// Text in one frame: what reading one line costs.
    static let frameSize = 256 << 10
    /// No frame that is read may say that it holds more.
    static let largestFrame = 8 << 20
    static let skippableMagic: UInt32 = 0x184D_2A5E
    static let tableMagic: UInt32 = 0x8F92_EAB1
    static let footerSize = 9

    /// Compresses `input` from its beginning to its end into `output`, which is not synchronised. Blocks.
    ///
    /// - Parameter keepOn: asked before every frame; what it throws ends the work.
    /// - Throws: ``TarError``, or what `keepOn` throws.
    public static func compress(
        _ input: FileDescriptor, to output: FileDescriptor, level: Int = 3, keepOn: () throws -> Void = {}
    ) throws {
        let encoder = try ZstdEncoder(level: level, hasChecksum: true)
        let text = UnsafeMutableRawBufferPointer.allocate(byteCount: frameSize, alignment: 16)
        let packed = UnsafeMutableRawBufferPointer.allocate(byteCount: frameSize + (frameSize >> 3), alignment: 16)
        defer {
            text.deallocate()
            packed.deallocate()
        }
        var table: [UInt8] = []
        var position: Int64 = 0
        do {
            while true {
                try keepOn()
                let count = try fill(text, from: input, at: position)
                if count == 0 { break }
                position += Int64(count)
                guard let size = encoder.compress(UnsafeMutableRawBufferPointer(rebasing: text[..<count]), into: packed) else {
                    throw TarError(code: .unavailable, message: "libzstd refused to compress", hint: "free some memory")
                }
                try output.writeAll(UnsafeRawBufferPointer(rebasing: packed[..<size]))
                table += bytes(UInt32(size)) + bytes(UInt32(count))
            }
            let frames = UInt32(table.count / 8)
            let body = table + bytes(frames) + [0] + bytes(tableMagic)
            try output.writeAll(bytes(skippableMagic) + bytes(UInt32(body.count)) + body)
        } catch let error as Errno {
            throw TarError(code: .fileSystem, message: "the compressed file cannot be written: \(error)", hint: "check that the disk is not full")
        }
    }

    private static func fill(_ buffer: UnsafeMutableRawBufferPointer, from file: FileDescriptor, at position: Int64) throws -> Int {
        var filled = 0
        while filled < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            let count = try file.read(fromAbsoluteOffset: position + Int64(filled), into: rest)
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    private static func bytes(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }
}

/// Reads a file of ``SeekableZstd`` at any place of its text. Keeps the frame it read last; belongs to one thread.
public final class SeekableZstdReader {
    private struct Frame {
        var packed: Range<Int64>
        var text: Range<Int64>
    }

    /// Bytes of text.
    public let size: Int64
    private let file: FileDescriptor
    private let frames: [Frame]
    private let context: OpaquePointer
    private var current: (frame: Int, text: [UInt8])?

    /// - Parameter file: stays the caller's, who closes it after this.
    /// - Throws: ``TarError`` with `invalidArchive` when the file is damaged or something else.
    public init(_ file: FileDescriptor) throws {
        let length = try file.seek(offset: 0, from: .end)
        let footer = try Self.read(file, length - Int64(SeekableZstd.footerSize), SeekableZstd.footerSize, length)
        let count = Self.number(footer, 0)
        // Bit 7 of the descriptor: each entry has a checksum too. Bits 2 to 6 are reserved.
        guard Self.number(footer, 5) == SeekableZstd.tableMagic, footer[4] & 0x7c == 0 else { throw Self.damaged("it has no table of frames") }
        let entry = footer[4] & 0x80 == 0 ? 8 : 12
        let body = Int64(count) * Int64(entry) + Int64(SeekableZstd.footerSize)
        let start = length - body - 8
        guard start >= 0, body < 64 << 20 else { throw Self.damaged("its table of frames is too long") }
        let head = try Self.read(file, start, 8, length)
        guard Self.number(head, 0) == SeekableZstd.skippableMagic, Int64(Self.number(head, 4)) == body else {
            throw Self.damaged("its table of frames does not begin where it should")
        }
        let table = try Self.read(file, start + 8, Int(body), length)
        var frames: [Frame] = []
        frames.reserveCapacity(Int(count))
        var (packed, text): (Int64, Int64) = (0, 0)
        for index in 0..<Int(count) {
            let size = Int64(Self.number(table, index * entry)), textSize = Int64(Self.number(table, index * entry + 4))
            guard textSize <= SeekableZstd.largestFrame, size <= start - packed else { throw Self.damaged("a frame is too long") }
            frames.append(Frame(packed: packed..<(packed + size), text: text..<(text + textSize)))
            packed += size
            text += textSize
        }
        guard packed == start else { throw Self.damaged("its frames do not fill it") }
        guard let context = ZSTD_createDCtx() else {
            throw TarError(code: .unavailable, message: "libzstd has no memory", hint: "free some memory")
        }
        self.file = file
        self.frames = frames
        self.size = text
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Copies text from `offset` on, at most to the end of a frame. Returns how much; 0 at the end.
    public func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard offset >= 0, offset < size, !buffer.isEmpty else { return 0 }
        let index = self.index(of: offset)
        let text = try load(index)
        let begin = Int(offset - frames[index].text.lowerBound)
        let count = min(text.count - begin, buffer.count)
        text[begin..<(begin + count)].withUnsafeBytes { buffer.copyMemory(from: $0) }
        return count
    }

    /// The frame that holds the byte at `offset`.
    private func index(of offset: Int64) -> Int {
        var (low, high) = (0, frames.count)
        while low < high {
            let middle = (low + high) / 2
            if frames[middle].text.upperBound <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func load(_ index: Int) throws -> [UInt8] {
        if let current, current.frame == index { return current.text }
        let frame = frames[index]
        let packed = try Self.read(file, frame.packed.lowerBound, frame.packed.count, frame.packed.upperBound)
        let size = frame.text.count
        let text = try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            let written = packed.withUnsafeBytes {
                ZSTD_decompressDCtx(context, buffer.baseAddress, size, $0.baseAddress, $0.count)
            }
            guard ZSTD_isError(written) == 0, written == size else { throw Self.damaged("a frame cannot be unpacked") }
            count = written
        }
        current = (index, text)
        return text
    }

    private static func read(_ file: FileDescriptor, _ offset: Int64, _ count: Int, _ end: Int64) throws -> [UInt8] {
        guard offset >= 0, offset + Int64(count) <= end else { throw damaged("it is cut short") }
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...])
                let got = try file.read(fromAbsoluteOffset: offset + Int64(filled), into: rest)
                if got == 0 { throw damaged("it is cut short") }
                filled += got
            }
        }
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << ($1 * 8) }
    }

    private static func damaged(_ reason: String) -> TarError {
        TarError(code: .invalidArchive, message: "the compressed file is damaged: \(reason)", hint: "restore it from a backup")
    }
}
