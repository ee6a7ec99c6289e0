public import OCIModel
public import TarArchive

/// What the media type of a layer says about it (image-spec, layer.md and media-types.md; Docker's schema 2).
public struct LayerKind: Sendable, Hashable {
    public let compression: LayerCompression
    /// The layer may only be fetched from the addresses in its descriptor, and is never pushed.
    public let isForeign: Bool

    /// Throws `.unsupported` for what is no layer, and for zstd under Docker's media types, which define none.
    public init(_ layer: Descriptor) throws {
        switch layer.mediaType {
        case MediaType.ociLayer: (compression, isForeign) = (.none, false)
        case MediaType.ociLayerGzip: (compression, isForeign) = (.gzip, false)
        case MediaType.ociLayerZstd: (compression, isForeign) = (.zstd, false)
        case "application/vnd.oci.image.layer.nondistributable.v1.tar": (compression, isForeign) = (.none, true)
        case "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": (compression, isForeign) = (.gzip, true)
        case "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": (compression, isForeign) = (.zstd, true)
        case "application/vnd.docker.image.rootfs.diff.tar": (compression, isForeign) = (.none, false)
        case MediaType.dockerLayerGzip: (compression, isForeign) = (.gzip, false)
        case "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": (compression, isForeign) = (.gzip, true)
        case let type where type.hasPrefix("application/vnd.docker.") && type.hasSuffix("zstd"):
            throw ImageStoreError(
                code: .unsupported, message: "layer \(layer.digest) is zstd under Docker's media type \(type)",
                hint: "zstd layers exist under OCI media types only; convert it with: skopeo copy --format oci")
        default:
            throw ImageStoreError(
                code: .unsupported, message: "layer \(layer.digest) is of the unknown type \(layer.mediaType.debugDescription)",
                hint: "name a container image with tar layers")
        }
    }
}
