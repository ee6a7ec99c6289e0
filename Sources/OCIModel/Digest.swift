import Crypto

/// A content digest: `sha256:` and 64, or `sha512:` and 128 lower-case hexadecimal characters (OCI image-spec,
/// descriptor.md, "Digests"). What Slipway makes itself is always named by sha256.
public struct Digest: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let algorithm: DigestAlgorithm
    /// The hexadecimal characters without the algorithm: 64 or 128, so that they name it too.
    public let hex: String

    /// Parses `sha256:<hex>` or `sha512:<hex>`.
    public init(parsing text: String) throws(OCIError) {
        for algorithm in DigestAlgorithm.allCases where text.utf8.starts(with: "\(algorithm.rawValue):".utf8) {
            let hex = text.utf8.dropFirst(algorithm.rawValue.utf8.count + 1)
            if let digest = Digest(hex: String(decoding: hex, as: UTF8.self)), digest.algorithm == algorithm {
                self = digest
                return
            }
        }
        throw OCIError(
            .invalidDigest, "'\(text.prefix(150))' is not a digest",
            hint: "write sha256: and 64, or sha512: and 128 lower-case hexadecimal characters")
    }

    /// The digest with these hexadecimal characters, as file names hold it; nil when they are not a digest's.
    public init?(hex: String) {
        let count = hex.utf8.count
        guard let algorithm = DigestAlgorithm.allCases.first(where: { $0.hexCount == count }),
            hex.utf8.allSatisfy({ ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66) })
        else { return nil }
        self.algorithm = algorithm
        self.hex = hex
    }

    fileprivate init(_ algorithm: DigestAlgorithm, hash: some Sequence<UInt8>) {
        self.algorithm = algorithm
        hex = hash.hexadecimal
    }

    /// The digest of `bytes` by `algorithm`.
    public static func of(_ bytes: [UInt8], by algorithm: DigestAlgorithm) -> Digest {
        var hasher = Hasher(algorithm)
        hasher.update(bytes)
        return hasher.finalize()
    }

    /// The sha256 digest of `bytes`.
    public static func sha256(_ bytes: [UInt8]) -> Digest { of(bytes, by: .sha256) }

    public var description: String { "\(algorithm.rawValue):\(hex)" }

    /// The first twelve characters, for people.
    public var short: String { String(hex.prefix(12)) }

    /// The order of the written forms.
    public static func < (left: Digest, right: Digest) -> Bool {
        left.algorithm == right.algorithm ? left.hex < right.hex : left.algorithm.rawValue < right.algorithm.rawValue
    }

    /// Computes a digest over a stream of bytes.
    public struct Hasher: Sendable {
        public let algorithm: DigestAlgorithm
        // One of the two; optionals rather than an enum, so that updating hashes in place without a copy.
        private var short: SHA256?
        private var long: SHA512?

        public init(_ algorithm: DigestAlgorithm = .sha256) {
            self.algorithm = algorithm
            switch algorithm {
            case .sha256: short = SHA256()
            case .sha512: long = SHA512()
            }
        }

        public mutating func update(_ bytes: UnsafeRawBufferPointer) {
            short?.update(bufferPointer: bytes)
            long?.update(bufferPointer: bytes)
        }

        public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

        /// The digest of all bytes so far; the hasher can go on.
        public func finalize() -> Digest {
            if let long { return Digest(algorithm, hash: long.finalize()) }
            return Digest(algorithm, hash: (short ?? SHA256()).finalize())
        }
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
