import CZstd
import OCIModel

/// How a layer is compressed.
///
/// The output depends on the input, this value and the version of the library, never on the number of threads or on
/// the processor: a build gives the same digest everywhere.
public enum Compression: Sendable, Hashable, CustomStringConvertible {
    /// The plain archive.
    case none
    /// ISA-L, level 0 to 2 (level 3 of `igzip` gives other bytes on other processors).
    case gzip(level: Int)
    /// libzstd, level 1 to 19. OCI media types only: Docker's have no name for it.
    case zstd(level: Int)

    /// What is used when nobody chooses: gzip level 1, read by everything that reads images.
    public static let standard = Compression.gzip(level: 1)

    /// `gzip`, `zstd` or `none`; a nil level is the usual one. Throws ``TarError`` with code `invalidOption`.
    public init(name: String, level: Int? = nil) throws(TarError) {
        func checked(_ standard: Int, _ range: ClosedRange<Int>, _ hint: String) throws(TarError) -> Int {
            guard range.contains(level ?? standard) else {
                throw TarError(
                    code: .invalidOption, message: "\(name) has no compression level \(level ?? standard)", hint: hint)
            }
            return level ?? standard
        }
        switch name {
        case "gzip":
            self = .gzip(
                level: try checked(1, 0...2, "choose 0, 1 or 2; what level 3 writes would depend on the processor"))
        case "zstd": self = .zstd(level: try checked(3, 1...19, "choose a level from 1 to 19"))
        case "none":
            guard level == nil else {
                throw TarError(
                    code: .invalidOption, message: "compression 'none' has no levels", hint: "leave the level out")
            }
            self = .none
        default:
            throw TarError(
                code: .invalidOption, message: "there is no compression '\(name)'", hint: "choose gzip, zstd or none")
        }
    }

    /// The layer's media type (image-spec, layer.md).
    public var mediaType: String {
        switch self {
        case .none: MediaType.ociLayer
        case .gzip: MediaType.ociLayerGzip
        case .zstd: MediaType.ociLayerZstd
        }
    }

    /// Everything that decides about the bytes besides the input: part of every cache key. ISA-L has no version to ask
    /// for at run time; a sample that must compress to known bytes stands for it (see ``CompressionSample``).
    public var identity: String {
        switch self {
        case .none: "none"
        case .gzip(let level): "gzip isa-l sample-2 level \(level) block \(BlockCompressor.blockSize)"
        case .zstd(let level): "zstd \(ZSTD_versionNumber()) level \(level) block \(BlockCompressor.blockSize)"
        }
    }

    public var description: String {
        switch self {
        case .none: "none"
        case .gzip(let level): "gzip-\(level)"
        case .zstd(let level): "zstd-\(level)"
        }
    }
}
