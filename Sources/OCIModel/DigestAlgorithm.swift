/// The hash functions digests are made with (OCI image-spec, descriptor.md, "Registered algorithms").
public enum DigestAlgorithm: String, Hashable, Sendable, CaseIterable, Codable {
    case sha256, sha512

    /// Hexadecimal characters of a digest; tells the algorithms apart where only those are written.
    public var hexCount: Int {
        switch self {
        case .sha256: 64
        case .sha512: 128
        }
    }
}
