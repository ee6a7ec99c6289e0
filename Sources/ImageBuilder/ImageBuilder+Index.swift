public import OCIModel
public import TarArchive

extension ImageBuilder {
    /// One image per platform, of the same copies over the base's image for that platform, and an index over them
    /// (image-spec, image-index.md). Layers that are equal are built once. The request's annotations are those of the index too.
    public func buildIndex(
        _ request: BuildRequest, platforms: [Platform], layers listener: (any LayerListener)? = nil
    ) async throws -> Descriptor {
        guard Set(platforms).count == platforms.count, !platforms.isEmpty else {
            throw ImageBuilderError(
                code: .invalidRequest, message: "an index needs platforms, each once: \(platforms.map(\.description).joined(separator: ", "))",
                hint: "write --platform linux/amd64,linux/arm64")
        }
        var images: [Descriptor] = []
        for platform in platforms {
            var one = request
            one.platform = platform
            images.append(try await build(one, layers: listener).manifest)
        }
        let index = Index(manifests: images, annotations: request.annotations.isEmpty ? nil : request.annotations)
        return try await write(try OCIJSON.encode(index), as: MediaType.ociIndex).0
    }
}
