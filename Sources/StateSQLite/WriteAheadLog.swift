import SystemPackage

/// The file beside the database that holds the newest transactions (https://sqlite.org/fileformat2.html, 4).
///
/// SQLite takes the first page that is not right for the end of the log, as after a power cut, and everything behind it is gone
/// without a word. But each transaction is on the disk before the next begins: pages of two transactions behind one that is wrong
/// are no power cut.
enum WriteAheadLog {
    private static let headerSize = 32
    private static let frameHeaderSize = 24

    /// What is wrong with the file; nil when nothing is, or when there is none.
    static func damage(of path: FilePath) throws -> String? {
        let file: FileDescriptor
        do { file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec]) } catch Errno.noSuchFileOrDirectory { return nil }
        return try file.closeAfter { try damage(of: file, path) }
    }

    private static func damage(of file: FileDescriptor, _ path: FilePath) throws -> String? {
        var header = [UInt8](repeating: 0, count: headerSize)
        guard try read(file, 0, &header) else { return nil }
        // Made, and nothing written when the power went.
        if header.allSatisfy({ $0 == 0 }) { return nil }
        var sum = Checksum(isBigEndian: number(header, 0) & 1 == 1)
        sum.add(header[..<24])
        let pageSize = Int(number(header, 8))
        guard number(header, 0) & ~1 == 0x377f_0682, sum.matches(header, 24), (512...65536).contains(pageSize) else {
            return "the head of \(path) is not what was written"
        }
        var frame = [UInt8](repeating: 0, count: frameHeaderSize + pageSize)
        var position = Int64(headerSize)
        var isChained = true
        var commitsBehind = 0
        while try read(file, position, &frame) {
            position += Int64(frame.count)
            // Of an earlier round of the same file.
            guard frame[8..<16] == header[16..<24] else {
                isChained = false
                continue
            }
            if isChained {
                sum.add(frame[..<8])
                sum.add(frame[frameHeaderSize...])
                isChained = sum.matches(frame, 16)
                if isChained { continue }
            }
            if commitsBehind > 0 { return "\(path) has pages that are not what was written" }
            if number(frame, 4) != 0 { commitsBehind += 1 }
        }
        return nil
    }

    /// Fills the buffer; false when the file ends before.
    private static func read(_ file: FileDescriptor, _ position: Int64, _ buffer: inout [UInt8]) throws -> Bool {
        try buffer.withUnsafeMutableBytes { bytes in
            var filled = 0
            while filled < bytes.count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[filled...])
                let count = try file.read(fromAbsoluteOffset: position + Int64(filled), into: rest)
                if count == 0 { return false }
                filled += count
            }
            return true
        }
    }

    private static func number(_ bytes: some Collection<UInt8>, _ offset: Int) -> UInt32 {
        bytes.dropFirst(offset).prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Fibonacci-weighted sums over 32-bit words, as the format says.
    private struct Checksum {
        let isBigEndian: Bool
        private var first: UInt32 = 0
        private var second: UInt32 = 0

        init(isBigEndian: Bool) { self.isBigEndian = isBigEndian }

        mutating func add(_ bytes: ArraySlice<UInt8>) {
            bytes.withUnsafeBytes { raw in
                for offset in stride(from: 0, to: raw.count - 7, by: 8) {
                    first = first &+ word(raw, offset) &+ second
                    second = second &+ word(raw, offset + 4) &+ first
                }
            }
        }

        private func word(_ raw: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
            let value = raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            return isBigEndian ? UInt32(bigEndian: value) : UInt32(littleEndian: value)
        }

        func matches(_ bytes: [UInt8], _ offset: Int) -> Bool {
            number(bytes, offset) == first && number(bytes, offset + 4) == second
        }
    }
}
