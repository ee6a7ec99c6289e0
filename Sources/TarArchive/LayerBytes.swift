public import OCIModel
public import SystemPackage

/// The uncompressed bytes of a file that is plain, gzip or zstd, hashed as they are read.
///
/// Blocking, and for one thread only. At most 768 KiB and the decompressor's window are in memory.
public final class LayerBytes {
    private static let bufferSize = 1 << 18

    private let source: any ByteSource
    private let decompressor: any Decompressor
    private let name: String
    private let limits: LayerLimits
    private let packed = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 64)
    private let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize << 1, alignment: 64)
    private var input: UnsafeRawBufferPointer
    private var sourceEnded = false
    private var ended = false
    private var hasher: Digest.Hasher

    /// How the file is packed.
    public let compression: LayerCompression
    /// Uncompressed bytes so far.
    public private(set) var count: Int64 = 0
    /// Bytes read from the file so far.
    public private(set) var packedCount: Int64 = 0

    /// Opens `file` and lends its bytes to `body`. With `expecting`, a file packed otherwise throws `.invalidArchive`;
    /// more bytes than `limits` allow, `.limitExceeded`. `algorithm` makes the digest `finish` returns.
    public static func open<T>(
        _ file: FilePath, expecting: LayerCompression? = nil, limits: LayerLimits = LayerLimits(),
        algorithm: DigestAlgorithm = .sha256, _ body: (LayerBytes) throws -> T
    ) throws -> T {
        try body(LayerBytes(FileSource(file), name: file.string, expecting: expecting, limits: limits, algorithm: algorithm))
    }

    /// The same over bytes in memory; `name` appears in errors.
    public static func open<T>(
        bytes: [UInt8], name: String, expecting: LayerCompression? = nil, limits: LayerLimits = LayerLimits(),
        algorithm: DigestAlgorithm = .sha256, _ body: (LayerBytes) throws -> T
    ) throws -> T {
        try body(LayerBytes(MemorySource(bytes), name: name, expecting: expecting, limits: limits, algorithm: algorithm))
    }

    private init(
        _ source: any ByteSource, name: String, expecting: LayerCompression?, limits: LayerLimits, algorithm: DigestAlgorithm
    ) throws {
        hasher = Digest.Hasher(algorithm)
        self.source = source
        self.name = name
        self.limits = limits
        do {
            let count = try source.read(into: packed)
            packedCount = Int64(count)
            sourceEnded = count < packed.count
            input = UnsafeRawBufferPointer(rebasing: packed[..<count])
            compression = LayerCompression.detect(input)
            if let expecting, expecting != compression {
                throw TarError(
                    code: .invalidArchive, message: "\(name) should be packed with \(expecting.rawValue), but is \(compression.rawValue)",
                    hint: "the media type of the layer lies; build or copy the image again")
            }
            switch compression {
            case .none: decompressor = PlainBytes()
            case .gzip: decompressor = GzipDecompressor()
            case .zstd: decompressor = try ZstdDecompressor()
            }
        } catch {
            packed.deallocate()
            plain.deallocate()
            throw error
        }
    }

    deinit {
        packed.deallocate()
        plain.deallocate()
    }

    /// The next piece, valid until the following call; nil at the end. Only a proper end is an end: a compressed
    /// stream that is cut short, damaged or followed by something else throws.
    public func next() throws -> UnsafeRawBufferPointer? {
        while !ended {
            if input.isEmpty, !sourceEnded { try refill() }
            let atEnd = input.isEmpty
            let made: Int
            do {
                made = try decompressor.decompress(&input, into: plain)
            } catch let error as DamagedStream {
                throw TarError(
                    code: .invalidArchive, message: "cannot read \(name): \(error.reason)",
                    hint: "the file is damaged; fetch it again")
            }
            guard made > 0 else {
                if atEnd { ended = true }
                continue
            }
            count += Int64(made)
            try checkLimits()
            let piece = UnsafeRawBufferPointer(rebasing: plain[..<made])
            hasher.update(piece)
            return piece
        }
        return nil
    }

    /// Reads to the end and returns the digest of all uncompressed bytes.
    public func finish() throws -> Digest {
        while try next() != nil {}
        return hasher.finalize()
    }

    private func refill() throws {
        let count = try source.read(into: packed)
        packedCount += Int64(count)
        sourceEnded = count < packed.count
        input = UnsafeRawBufferPointer(rebasing: packed[..<count])
    }

    private func checkLimits() throws {
        guard count <= limits.bytes else { throw limits.exceeded(.bytes, "\(name) unpacks to more than \(limits.bytes) bytes") }
        // What lies unused in the buffer counts as read: at most 256 KiB, nothing against `ratioFrom`.
        guard count <= limits.ratioFrom || count / max(1, limits.ratio) <= packedCount else {
            throw limits.exceeded(.ratio, "\(name) unpacks to more than \(limits.ratio) times its size")
        }
    }
}
