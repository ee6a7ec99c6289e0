import Foundation
import ImageBuilder
import ImageStore
import NIOCore
import OCIModel
import RegistryClient
import RegistryServer
import SystemPackage
import TarArchive
import Testing

/// Layers that travel while the image is built.
struct LayerUploadsTests {
    /// A folder with some megabytes that do not compress, and a store to build in.
    private struct Shop {
        let store: ImageStore
        let context: FilePath

        init(_ folder: URL, files: Int = 6) throws {
            store = try ImageStore(root: FilePath(folder.path + "/here"))
            context = FilePath(folder.path + "/context")
            for number in 0..<files {
                let part = folder.appendingPathComponent("context/part\(number)")
                try FileManager.default.createDirectory(at: part, withIntermediateDirectories: true)
                let noise = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/dev/urandom")).read(upToCount: 1_500_000)
                try noise?.write(to: part.appendingPathComponent("file"))
            }
        }

        var request: BuildRequest {
            BuildRequest(
                base: nil,
                copies: (0..<6).map { .init(source: context.appending("part\($0)"), destination: "/app/part\($0)") },
                context: context, timestamp: 0)
        }

        func build(_ uploads: LayerUploads) async throws -> BuiltImage {
            try await ImageBuilder(store: store, threads: 2).build(request, layers: uploads)
        }

        func write(_ text: String, _ part: Int) throws {
            try text.write(toFile: context.appending("part\(part)/file").string, atomically: true, encoding: .utf8)
        }
    }

    private func buildAndPush(_ port: Int, _ shop: Shop) async throws {
        let name = try repository("shop/app")
        let registry = try client(port)
        let uploads = LayerUploads(registry, from: shop.store, to: name)
        let image = try await shop.build(uploads)
        let result = try await registry.push(image.manifest.digest, from: shop.store, to: name, tag: Tag(parsing: "1"), ahead: uploads)
        #expect(result.blobsUploaded == 0 && result.blobsAlreadyThere == 7, "layers and config were there")
        #expect(try await registry.resolve(repository: name, tag: Tag(parsing: "1"))?.digest == image.manifest.digest)

        // One layer changed: the others are asked for, not sent.
        try shop.write("changed", 3)
        let again = LayerUploads(registry, from: shop.store, to: name)
        let next = try await shop.build(again)
        let second = try await registry.push(next.manifest.digest, from: shop.store, to: name, tag: Tag(parsing: "2"), ahead: again)
        #expect(second.blobsUploaded == 0 && second.blobsAlreadyThere == 7)
        for layer in next.layers { #expect(try await registry.size(of: layer.digest, in: name) == layer.size) }

        // Nothing changed: one question.
        let idle = LayerUploads(registry, from: shop.store, to: name)
        let same = try await shop.build(idle)
        let third = try await registry.push(same.manifest.digest, from: shop.store, to: name, tag: Tag(parsing: "2"), ahead: idle)
        #expect(third.wasUpToDate && third.blobsAlreadyThere == 0)
    }

    @Test func toOurRegistry() async throws {
        try await withFolder { folder in
            let shop = try Shop(folder)
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            try await withOurRegistry(there) { try await buildAndPush($0, shop) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/there/uploads").isEmpty)
        }
    }

    @Test func toDockersRegistry() async throws {
        try await withFolder { folder in
            let shop = try Shop(folder)
            try await withDockerRegistry { try await buildAndPush($0, shop) }
        }
    }

    @Test func brokenConnectionsCostNothingButTime() async throws {
        try await withFolder { folder in
            let shop = try Shop(folder)
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let name = try repository("shop/app")
            try await withOurRegistry(there) { upstream in
                try await cutting(upstream, after: Locked(Array(repeating: 700_000, count: 5))) { port in
                    let registry = try client(port)
                    let uploads = LayerUploads(registry, from: shop.store, to: name)
                    let image = try await shop.build(uploads)
                    _ = try await registry.push(image.manifest.digest, from: shop.store, to: name, tag: Tag(parsing: "1"), ahead: uploads)
                    for layer in image.layers { try await there.verify(layer.digest) }
                }
            }
        }
    }

    @Test func whatTheTaggedImageHasIsNotAskedForAndSentWhenItIsGone() async throws {
        try await withFolder { folder in
            let shop = try Shop(folder)
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let name = try repository("shop/app")
            let requests = Locked<[String]>([])
            try await withOurRegistry(there, middleware: TransferTests.Recorder(requests: requests)) { port in
                let registry = try client(port)
                let tag = try tag("latest")
                func deliver() async throws -> BuiltImage {
                    let uploads = LayerUploads(registry, from: shop.store, to: name, tag: tag)
                    let image = try await shop.build(uploads)
                    _ = try await registry.push(image.manifest.digest, from: shop.store, to: name, tag: tag, ahead: uploads)
                    #expect(try await registry.resolve(repository: name, tag: tag)?.digest == image.manifest.digest)
                    return image
                }
                let first = try await deliver()
                try shop.write("changed", 3)
                requests.with { $0 = [] }
                _ = try await deliver()
                #expect(requests.with { $0 }.filter { $0.hasPrefix("HEAD") && $0.contains("/blobs/") }.isEmpty)

                // Somebody removed a layer by hand.
                try await there.deleteBlob(first.layers[0].digest)
                try shop.write("changed again", 4)
                let third = try await deliver()
                for layer in third.layers { try await there.verify(layer.digest) }
            }
        }
    }

    /// Takes connections and says nothing.
    @Test func aRegistryThatHangsDoesNotHoldUpTheBuild() async throws {
        try await withFolder { folder in
            let shop = try Shop(folder)
            let one = BuildRequest(base: nil, copies: [.init(source: shop.context, destination: "/app")], context: shop.context, timestamp: 0)
            try await listening({ connection in
                { try await connection.executeThenClose { _, _ in try await Task.sleep(for: .seconds(600)) } }
            }) { port in
                let uploads = try LayerUploads(
                    client(port), from: shop.store, to: repository("shop/app"), patience: .milliseconds(50))
                let image = try await ImageBuilder(store: shop.store, threads: 2).build(one, layers: uploads)
                #expect(try shop.store.size(of: image.layers[0].digest) == image.layers[0].size)
            }
        }
    }

    @Test func aRegistryThatRefusesIsLeftToThePush() async throws {
        try await withFolder { folder in
            let shop = try Shop(folder)
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            try await withOurRegistry(there, authorize: { _, _, _ in false }) { port in
                let uploads = try LayerUploads(client(port), from: shop.store, to: repository("shop/app"))
                let image = try await shop.build(uploads)
                let error = await #expect(throws: RegistryError.self) {
                    try await client(port).push(
                        image.manifest.digest, from: shop.store, to: repository("shop/app"), tag: Tag(parsing: "1"), ahead: uploads)
                }
                #expect(error?.code == .unauthorized || error?.code == .denied)
            }
        }
    }

    /// What was on its way when the build failed is taken back.
    @Test func aLayerWithASecretIsNotCommitted() async throws {
        try await withFolder { folder in
            let shop = try Shop(folder)
            try shop.write("the-secret-of-the-house", 5)
            var request = shop.request
            request.copies = [.init(source: shop.context, destination: "/app")]
            request.secrets = ["the-secret-of-the-house"]
            let refused = request
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            try await withOurRegistry(there) { port in
                let uploads = try LayerUploads(client(port), from: shop.store, to: repository("shop/app"))
                await #expect(throws: ImageBuilderError.self) {
                    _ = try await ImageBuilder(store: shop.store, threads: 2).build(refused, layers: uploads)
                }
            }
            #expect(try await there.blobDigests().isEmpty)
        }
    }
}
