import Foundation
import HTTPTypes
import Hummingbird
import ImageStore
import LoopbackServer
import OCIModel
import RegistryClient
import SystemPackage
import Testing

/// Copies between registries, and what refers to images.
struct CopyTests {
    private func referrer(of subject: Digest, in store: ImageStore, type: String, _ text: String) async throws -> Digest {
        let layer = try await store.write(Array(text.utf8))
        let config = try await store.write(Array("{}".utf8))
        let size = try store.size(of: subject) ?? 0
        return try await store.write(
            try OCIJSON.encode(
                Manifest(
                    artifactType: type,
                    config: Descriptor(mediaType: "application/vnd.oci.empty.v1+json", digest: config, size: 2),
                    layers: [Descriptor(mediaType: "text/plain", digest: layer, size: Int64(text.utf8.count))],
                    subject: Descriptor(mediaType: MediaType.ociManifest, digest: subject, size: size), annotations: ["note": text])))
    }

    /// Everything there is to copy, from one registry to the other and back.
    private func thereAndBack(_ ports: (Int, Int), in folder: URL) async throws {
        let store = try ImageStore(root: FilePath(folder.path + "/store"))
        let name = try repository("shop/app")
        let images = [try await store.makeImage(31, layers: [3_000_000, 40]), try await store.makeImage(32, layers: [900_000])]
        let index = try await store.makeIndex([
            (images[0], Platform(architecture: "amd64", os: "linux")), (images[1], Platform(architecture: "arm64", os: "linux")),
        ])
        let (first, second) = try (client(ports.0), client(ports.1))
        _ = try await first.push(index, from: store, to: name, tag: tag("v1"))
        let signature = try await referrer(of: images[0], in: store, type: "test/signature", "signed")
        let bill = try await referrer(of: images[0], in: store, type: "test/bill", "one bolt")
        let countersignature = try await referrer(of: signature, in: store, type: "test/signature", "signed again")
        for digest in [signature, bill, countersignature] { _ = try await first.push(digest, from: store, to: name, tag: nil) }
        let listed = try await first.referrers(of: images[0], in: name)
        #expect(Set(listed.map(\.digest)) == [signature, bill])
        let bills = try await first.referrers(of: images[0], in: name, artifactType: "test/bill")
        #expect(bills.map(\.digest) == [bill] && bills.first?.annotations?["note"] == "one bolt")
        #expect(try await first.referrers(of: images[1], in: name).isEmpty)

        let other = try repository("copies/app")
        let seen = Locked<[RegistryProgress]>([])
        let result = try await second.copy(
            .tag(tag("v1")), of: name, from: first, to: other, tag: tag("v2"), referrers: true
        ) { event in seen.with { $0.append(event) } }
        #expect(result.image.digest == index && result.referrers == 3 && result.image.blobsUploaded == 5)
        #expect(seen.with { $0 }.contains { $0.step == .done && $0.completed == 3_000_000 })
        let arrived = try await second.referrers(of: images[0], in: other)
        #expect(Set(arrived.map(\.digest)) == [signature, bill])
        #expect(try await second.referrers(of: signature, in: other).map(\.digest) == [countersignature])
        #expect(try await second.copy(.tag(tag("v1")), of: name, from: first, to: other, tag: tag("v2")).image.wasUpToDate)

        let one = try await second.copy(
            .digest(index), of: name, from: first, to: repository("copies/one"), tag: nil, platform: Platform(architecture: "arm64", os: "linux"))
        #expect(one.image.digest == images[1])
        // Within a registry nothing travels.
        let near = try await second.copy(.tag(tag("v2")), of: other, from: second, to: repository("near/app"), tag: tag("v3"))
        #expect(near.image.digest == index && near.image.bytesUploaded == 0)

        let back = try ImageStore(root: FilePath(folder.path + "/back"))
        #expect(try await second.pull(repository("near/app"), .tag(tag("v3")), into: back, as: name) == index)
        for image in images { #expect(try await back.isWhole(image)) }
    }

    @Test func fromOursToDockers() async throws {
        try await withFolder { folder in
            let ours = try ImageStore(root: FilePath(folder.path + "/ours"))
            try await withOurRegistry(ours) { port in
                try await withDockerRegistry { try await thereAndBack((port, $0), in: folder) }
            }
        }
    }

    @Test func fromDockersToOurs() async throws {
        try await withFolder { folder in
            let ours = try ImageStore(root: FilePath(folder.path + "/ours"))
            try await withOurRegistry(ours) { port in
                try await withDockerRegistry { try await thereAndBack(($0, port), in: folder) }
            }
        }
    }

    @Test func copiesSurviveBrokenConnectionsOnBothSides() async throws {
        try await withFolder { folder in
            let from = try ImageStore(root: FilePath(folder.path + "/from"))
            let to = try ImageStore(root: FilePath(folder.path + "/to"))
            let name = try repository("shop/app")
            let image = try await from.makeImage(33, layers: [9_000_000])
            try await from.record(manifest: image, mediaType: MediaType.ociManifest, in: name)
            try await from.tag(tag("v1"), as: image, in: name)
            try await withOurRegistry(from) { fromPort in
                try await withOurRegistry(to) { toPort in
                    try await cutting(fromPort, after: Locked([3_000_000, 2_500_000])) { near in
                        try await cutting(toPort, after: Locked([4_000_000, 1_700_000])) { far in
                            let result = try await client(far, attempts: 8).copy(
                                .tag(tag("v1")), of: name, from: client(near, attempts: 8), to: name, tag: tag("v1"))
                            #expect(result.image.digest == image)
                        }
                    }
                }
            }
            #expect(try await to.isWhole(image))
            let layer = try OCIJSON.decode(Manifest.self, from: try await to.read(image)).layers[0].digest
            try await to.verify(layer)
        }
    }

    @Test func damagedBlobsAreNotCopied() async throws {
        try await withFolder { folder in
            let from = try ImageStore(root: FilePath(folder.path + "/from"))
            let to = try ImageStore(root: FilePath(folder.path + "/to"))
            let name = try repository("shop/app")
            let image = try await from.makeImage(34, layers: [500_000])
            let layer = try OCIJSON.decode(Manifest.self, from: try await from.read(image)).layers[0].digest
            try await from.record(manifest: image, mediaType: MediaType.ociManifest, in: name)
            try await from.tag(tag("v1"), as: image, in: name)
            try Data(repeating: 1, count: 500_000).write(to: URL(fileURLWithPath: from.path(of: layer).string))
            try await withOurRegistry(from) { fromPort in
                try await withOurRegistry(to) { toPort in
                    let error = await #expect(throws: RegistryError.self) {
                        try await client(toPort).copy(.tag(tag("v1")), of: name, from: client(fromPort), to: name, tag: tag("v1"))
                    }
                    #expect(error?.code == .digestMismatch, "\(String(describing: error))")
                    let found = try await client(toPort).resolve(repository: name, tag: tag("v1"))
                    #expect(found == nil)
                }
            }
            #expect(try to.size(of: layer) == nil)
        }
    }

    @Test func foreignLayersStayWhereTheyAre() async throws {
        try await withFolder { folder in
            let store = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let name = try repository("shop/app")
            let bytes = [UInt8](repeating: 7, count: 100_000)
            let router = Router()
            router.get("/layer") { _, _ in Response(status: .ok, body: .init(byteBuffer: .init(bytes: bytes))) }
            try await serve(router) { webPort in
                let foreign = Descriptor(
                    mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", digest: Digest.sha256(bytes),
                    size: 100_000, urls: ["ftp://127.0.0.1/x", "http://127.0.0.1:1/none", "http://127.0.0.1:\(webPort)/layer"])
                let config = try await store.write(Array("{}".utf8))
                let image = try await store.write(
                    try OCIJSON.encode(
                        Manifest(config: Descriptor(mediaType: MediaType.ociConfig, digest: config, size: 2), layers: [foreign])))
                try await withOurRegistry(there) { port in
                    // Ours takes manifests whose foreign layers it has not got.
                    let result = try? await client(port).push(image, from: store, to: name, tag: tag("v1"))
                    #expect(result?.blobsUploaded == 1)
                    #expect(try there.size(of: foreign.digest) == nil)
                    let back = try ImageStore(root: FilePath(folder.path + "/back"))
                    #expect(try await client(port).pull(name, .tag(tag("v1")), into: back, as: name) == image)
                    #expect(try back.size(of: foreign.digest) == 100_000)
                }
            }
        }
    }
}
