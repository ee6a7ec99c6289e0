/// How the bytes of a layer are packed.
public enum LayerCompression: String, Sendable, Hashable, CaseIterable {
    case none, gzip, zstd

    /// What the first bytes of a file say (RFC 1952, 2.3.1; RFC 8878, 3.1). Anything else is taken as plain.
    static func detect(_ bytes: UnsafeRawBufferPointer) -> LayerCompression {
        if bytes.count >= 2, bytes[0] == 0x1f, bytes[1] == 0x8b { return .gzip }
        guard bytes.count >= 4 else { return .none }
        if bytes[0] == 0x28, bytes[1] == 0xb5, bytes[2] == 0x2f, bytes[3] == 0xfd { return .zstd }
        // A skippable frame: tools put one in front to carry their own data.
        if bytes[0] & 0xf0 == 0x50, bytes[1] == 0x2a, bytes[2] == 0x4d, bytes[3] == 0x18 { return .zstd }
        return .none
    }
}
