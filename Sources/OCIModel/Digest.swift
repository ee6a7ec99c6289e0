import Crypto

/// A content digest, `sha256:` and 64 lower-case hexadecimal characters (OCI image-spec, descriptor.md, "Digests").
public struct Digest: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The 64 hexadecimal characters without the algorithm.
    public let hex: String

    /// Parses `sha256:<hex>`. Other algorithms are refused: every part of Slipway speaks sha256.
    public init(parsing text: String) throws(OCIError) {
        let prefix = "sha256:"
        let hex = text.utf8.dropFirst(prefix.utf8.count)
        guard text.utf8.starts(with: prefix.utf8), hex.count == 64,
            hex.allSatisfy({ ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66) })
        else {
            throw OCIError(
                .invalidDigest, "'\(text.prefix(100))' is not a digest",
                hint: "write sha256: and 64 lower-case hexadecimal characters")
        }
        self.hex = String(text.dropFirst(prefix.count))
    }

    fileprivate init(hash: some Sequence<UInt8>) {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in hash {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        self.hex = String(decoding: text, as: UTF8.self)
    }

    /// The digest of `bytes`.
    public static func sha256(_ bytes: [UInt8]) -> Digest {
        var hasher = Hasher()
        hasher.update(bytes)
        return hasher.finalize()
    }

    public var description: String { "sha256:\(hex)" }

    /// The first twelve characters, for people.
    public var short: String { String(hex.prefix(12)) }

    public static func < (left: Digest, right: Digest) -> Bool { left.hex < right.hex }

    /// Computes a digest over a stream of bytes.
    public struct Hasher: Sendable {
        private var hash = SHA256()

        public init() {}

        public mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

        public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { hash.update(bufferPointer: $0) } }

        /// The digest of all bytes so far; the hasher can go on.
        public func finalize() -> Digest { Digest(hash: hash.finalize()) }
    }
}

extension Digest: Codable {
    public init(from decoder: any Decoder) throws {
        try self.init(parsing: decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
