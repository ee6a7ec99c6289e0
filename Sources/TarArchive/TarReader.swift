public import OCIModel
public import SystemPackage

/// Reads the entries of a tar archive (v7, ustar, pax, GNU; plain, gzip or zstd) in order. Blocking.
///
/// Where readers in the field disagree about what an archive holds, it is refused: a wrong checksum, bytes after the
/// end marker, data behind links, global headers that rename files, unknown kinds of entries.
public final class TarReader {
    /// What an entry says about itself. Names are bytes as in the archive, not yet made safe.
    public struct Entry {
        public enum Kind: Sendable, Hashable {
            /// The size counts the holes of a sparse file.
            case file(size: Int64)
            case directory
            case symlink(FilePath)
            case hardlink(FilePath)
            case fifo
            case characterDevice(major: UInt32, minor: UInt32)
            case blockDevice(major: UInt32, minor: UInt32)
        }

        public let path: FilePath
        public let kind: Kind
        public let mode: UInt16
        public let uid: UInt32
        public let gid: UInt32
        /// Seconds since 1970, and nanoseconds (0..<1,000,000,000) after that second.
        public let time: Int64
        public let timeNanoseconds: Int
        public let xattrs: [(name: String, value: [UInt8])]
    }

    private let input: TarInput
    private let name: String
    /// What is left of the current entry's data: segments to come, and the padding behind.
    private var segments: ArraySlice<SparseMap.Segment> = []
    private var padding: Int64 = 0

    /// Calls `body` for every entry; `body` may read the entry's data through the reader. Afterwards the rest of
    /// the file is read too; returns the digest of all uncompressed bytes (the diffID of a layer) and their number.
    @discardableResult
    public static func read(
        _ file: FilePath, expecting: LayerCompression? = nil, limits: LayerLimits = LayerLimits(),
        algorithm: DigestAlgorithm = .sha256, _ body: (Entry, TarReader) throws -> Void
    ) throws -> (diffID: Digest, size: Int64) {
        try LayerBytes.open(file, expecting: expecting, limits: limits, algorithm: algorithm) { try read($0, name: file.string, body) }
    }

    /// The same over bytes that are open already; `name` appears in errors.
    @discardableResult
    public static func read(
        _ bytes: LayerBytes, name: String, _ body: (Entry, TarReader) throws -> Void
    ) throws -> (diffID: Digest, size: Int64) {
        let reader = TarReader(bytes, name: name)
        while let entry = try reader.next() { try body(entry, reader) }
        return (try bytes.finish(), bytes.count)
    }

    private init(_ bytes: LayerBytes, name: String) {
        input = TarInput(bytes)
        self.name = name
    }

    /// Calls `body` with the pieces of the current entry's data and their offsets, ascending; gaps are holes.
    public func data(_ body: (UnsafeRawBufferPointer, Int64) throws -> Void) throws {
        try named {
            while let segment = segments.popFirst() {
                var offset = segment.offset
                try input.read(segment.length) { piece in
                    try body(piece, offset)
                    offset += Int64(piece.count)
                }
            }
        }
    }

    /// The current entry's data, at most `limit` bytes, holes filled with zeros.
    public func bytes(limit: Int) throws -> [UInt8] {
        var result: [UInt8] = []
        try data { piece, offset in
            guard offset <= Int64(limit), Int(offset) + piece.count <= limit else {
                throw TarError(
                    code: .limitExceeded, message: "an entry of \(name) is larger than \(limit) bytes",
                    hint: "documents are small; is this the right archive?")
            }
            result.append(contentsOf: repeatElement(0, count: Int(offset) - result.count))
            result.append(contentsOf: piece)
        }
        return result
    }

    private func next() throws -> Entry? {
        try named {
            while let segment = segments.popFirst() { try input.skip(segment.length) }
            try input.skip(padding)
            padding = 0
            return try readEntry()
        }
    }

    private func named<T>(_ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch let error as DamagedArchive {
            throw TarError(
                code: .invalidArchive, message: "\(name) is not a good tar archive: \(error.reason)",
                hint: "the file is damaged, cut short or of another kind; make or fetch it again")
        }
    }

    private func readEntry() throws -> Entry? {
        var extensions = TarExtensions()
        while try input.readBlock() {
            if input.blockIsZero {
                guard !extensions.arePresent else { throw DamagedArchive("it ends after an extended header") }
                try readEnd()
                return nil
            }
            let header = try TarHeader(input.block)
            if try extensions.take(header, input) { continue }
            let content = try TarContent(header, extensions, input)
            segments = content.segments[...]
            padding = content.padding
            return try content.entry()
        }
        // Some writers leave out the end marker; a cut is told by the digest.
        guard !extensions.arePresent else { throw DamagedArchive("it ends after an extended header") }
        return nil
    }

    /// One block of zeros has been read; a second one, or nothing, makes it the end.
    private func readEnd() throws {
        guard try input.readBlock() else { return }
        guard input.blockIsZero else { throw DamagedArchive("a block of zeros stands between entries") }
        try input.finish()
    }
}
