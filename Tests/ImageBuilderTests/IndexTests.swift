import ImageStore
import OCIModel
import SystemPackage
import Testing

@testable import ImageBuilder

@Suite struct IndexTests {
    /// A base for two platforms: an index over two images of the same files.
    private func base(_ shop: Workshop, _ platforms: [Platform]) async throws -> Digest {
        let image = try await shop.store.load(try await shop.base())
        var images: [Descriptor] = []
        for platform in platforms {
            var config = image.config
            (config.architecture, config.os, config.variant) = (platform.architecture, platform.os, platform.variant)
            let bytes = try OCIJSON.encode(config)
            var manifest = image.manifest
            manifest.config = Descriptor(mediaType: MediaType.dockerConfig, digest: try await shop.store.write(bytes), size: Int64(bytes.count))
            let document = try OCIJSON.encode(manifest)
            images.append(
                Descriptor(
                    mediaType: MediaType.dockerManifest, digest: try await shop.store.write(document), size: Int64(document.count),
                    platform: platform))
        }
        return try await shop.store.write(try OCIJSON.encode(Index(manifests: images)))
    }

    @Test func oneImagePerPlatformOfTheSameLayers() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let platforms = [Platform(architecture: "amd64", os: "linux"), Platform(architecture: "arm64", os: "linux", variant: "v8")]
        let base = try await base(shop, platforms)
        let file = try shop.write("site/page", "hello")
        let request = shop.request([.init(source: file.removingLastComponent(), destination: "/site")], base: base) {
            $0.annotations = ["a": "b"]
        }
        let builder = ImageBuilder(store: shop.store)
        let built = try await builder.buildIndex(request, platforms: platforms)
        #expect(built.mediaType == MediaType.ociIndex)
        let index = try OCIJSON.decode(Index.self, from: try await shop.store.read(built.digest))
        #expect(index.manifests.map(\.platform) == platforms && index.annotations == ["a": "b"])
        let images = [
            try await shop.store.load(built.digest, platform: platforms[0]), try await shop.store.load(built.digest, platform: platforms[1]),
        ]
        #expect(images[0].config.architecture == "amd64" && images[1].config.architecture == "arm64" && images[1].config.variant == "v8")
        #expect(images[0].manifest.layers == images[1].manifest.layers)
        #expect(
            images[0].manifest.annotations?["org.opencontainers.image.base.digest"]
                != images[1].manifest.annotations?["org.opencontainers.image.base.digest"])
        #expect(try await builder.buildIndex(request, platforms: platforms) == built)
        // Other tools find both.
        try await shop.store.record(manifest: built.digest, mediaType: built.mediaType, in: shop.repository)
        let layout = shop.path.appending("layout")
        try await ImageArchive.export(built.digest, reference: ImageReference(parsing: "a:1"), from: shop.store, to: layout, format: .ociLayout)
        for (name, digest) in [("amd64", images[0].digest), ("arm64", images[1].digest)] {
            let found = try run("skopeo", "--override-arch", name, "inspect", "--format", "{{.Architecture}}", "oci:\(layout):1")
            #expect(found == "\(name)\n", "\(digest)")
        }
    }

    @Test func aPlatformTheBaseLacksIsRefused() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let amd64 = Platform(architecture: "amd64", os: "linux")
        let base = try await base(shop, [amd64, Platform(architecture: "arm64", os: "linux")])
        let file = try shop.write("x", "1")
        let builder = ImageBuilder(store: shop.store)
        let request = shop.request([.init(source: file, destination: "/x")], base: base)
        await #expect(throws: ImageStoreError.self) {
            try await builder.buildIndex(request, platforms: [amd64, Platform(architecture: "s390x", os: "linux")])
        }
        await #expect(throws: ImageBuilderError.self) { try await builder.buildIndex(request, platforms: [amd64, amd64]) }
        await #expect(throws: ImageBuilderError.self) { try await builder.buildIndex(request, platforms: []) }
    }
}
