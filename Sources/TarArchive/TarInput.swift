/// The uncompressed bytes of an archive as 512-byte blocks and as runs of data.
final class TarInput {
    static let blockSize = 512

    private let bytes: LayerBytes
    private var piece = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The block read last.
    private(set) var block = [UInt8](repeating: 0, count: blockSize)

    init(_ bytes: LayerBytes) { self.bytes = bytes }

    /// Reads the next block into `block`; false when there is none. Half a block throws.
    func readBlock() throws -> Bool {
        var filled = 0
        while filled < Self.blockSize, let part = try take(Int64(Self.blockSize - filled)) {
            block.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[filled..<filled + part.count]).copyMemory(from: part)
            }
            filled += part.count
        }
        if filled == 0 { return false }
        guard filled == Self.blockSize else { throw DamagedArchive("it ends in the middle of a block") }
        return true
    }

    var blockIsZero: Bool { block.allSatisfy { $0 == 0 } }

    /// The next bytes, at most `most` of them, valid until the following call; nil at the end.
    func take(_ most: Int64) throws -> UnsafeRawBufferPointer? {
        if piece.isEmpty {
            guard let next = try bytes.next() else { return nil }
            piece = next
        }
        let part = UnsafeRawBufferPointer(rebasing: piece[..<Int(min(Int64(piece.count), most))])
        piece = UnsafeRawBufferPointer(rebasing: piece[part.count...])
        return part
    }

    /// Exactly `count` bytes in pieces; an earlier end throws.
    func read(_ count: Int64, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var left = count
        while left > 0 {
            guard let part = try take(left) else { throw DamagedArchive("it ends in the middle of a file") }
            left -= Int64(part.count)
            try body(part)
        }
    }

    func skip(_ count: Int64) throws { try read(count) { _ in } }

    /// Reads what follows the end marker: padding, which is zeros.
    func finish() throws {
        while let part = try take(.max) {
            guard part.allSatisfy({ $0 == 0 }) else { throw DamagedArchive("there are bytes after its end marker") }
        }
    }
}

/// What is wrong with an archive; its name is added by `TarReader`.
struct DamagedArchive: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
