import Foundation
import HTTPTypes
import Hummingbird
import ImageStore
import OCIModel
import RegistryClient
import RegistryServer
import SystemPackage
import Testing

/// Our client against our registry.
struct TransferTests {
    struct Recorder: RouterMiddleware {
        let requests: Locked<[String]>
        func handle(
            _ request: Request, context: BasicRequestContext,
            next: (Request, BasicRequestContext) async throws -> Response
        ) async throws -> Response {
            requests.with { $0.append("\(request.method.rawValue) \(request.uri.path)") }
            return try await next(request, context)
        }
    }

    @Test func blobsThenManifestThenTag() async throws {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let requests = Locked<[String]>([])
            let name = try repository("shop/app")
            let image = try await here.makeImage(3)
            try await withOurRegistry(there, middleware: Recorder(requests: requests)) { port in
                let seen = Locked<[RegistryProgress]>([])
                _ = try await client(port).push(image, from: here, to: name, tag: tag("v1")) { event in seen.with { $0.append(event) } }
                #expect(seen.with { $0 }.contains { $0.step == .done && $0.completed == 3_000_000 })
                let puts = requests.with { $0.filter { $0.hasPrefix("PUT") } }
                #expect(puts.suffix(2) == ["PUT /v2/shop/app/manifests/\(image)", "PUT /v2/shop/app/manifests/v1"])
                #expect(puts.dropLast(2).allSatisfy { $0.contains("/blobs/uploads/") } && puts.count == 6)
                requests.with { $0 = [] }
                _ = try await client(port).push(image, from: here, to: name, tag: tag("v1"))
                #expect(requests.with { $0 } == ["HEAD /v2/shop/app/manifests/v1"])
            }
        }
    }

    @Test func anImageThatIsNotWholeMovesNoTag() async throws {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let name = try repository("shop/app")
            let good = try await here.makeImage(4)
            let broken = try await here.makeImage(5)
            let manifest = try OCIJSON.decode(Manifest.self, from: try await here.read(broken))
            try await here.deleteBlob(manifest.layers[1].digest)
            try await withOurRegistry(there) { port in
                _ = try await client(port).push(good, from: here, to: name, tag: tag("v1"))
                let error = await #expect(throws: RegistryError.self) {
                    try await client(port).push(broken, from: here, to: name, tag: tag("v1"))
                }
                #expect(error?.code == .notFound)
                #expect(try await client(port).resolve(repository: name, tag: tag("v1"))?.digest == good)
            }
        }
    }

    @Test func indexesTravelChildrenFirst() async throws {
        try await withFolder { folder in
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let back = try ImageStore(root: FilePath(folder.path + "/back"))
            let name = try repository("shop/app")
            let amd = Platform(architecture: "amd64", os: "linux")
            let arm = Platform(architecture: "arm64", os: "linux", variant: "v8")
            let images = [try await here.makeImage(6, layers: [10]), try await here.makeImage(7, layers: [20])]
            let index = try await here.makeIndex([(images[0], amd), (images[1], arm)])
            try await withOurRegistry(there) { port in
                _ = try await client(port).push(index, from: here, to: name, tag: tag("multi"))
                #expect(try await client(port).resolve(repository: name, tag: tag("multi"))?.mediaType == MediaType.ociIndex)
                let one = try await client(port).pull(
                    name, .tag(tag("multi")), into: back, as: repository("one"), platform: Platform(architecture: "arm64", os: "linux"))
                #expect(one == images[1])
                #expect(try back.size(of: images[0]) == nil)
                let all = try await client(port).pull(name, .digest(index), into: back, as: repository("all"))
                #expect(all == index)
                for image in images { #expect(try await back.isWhole(image)) }
                let error = await #expect(throws: RegistryError.self) {
                    try await client(port).pull(
                        name, .tag(tag("multi")), into: back, as: repository("none"), platform: Platform(architecture: "s390x", os: "linux"))
                }
                #expect(error?.code == .notFound && error?.hint.contains("linux/arm64/v8") == true)
            }
        }
    }

    @Test func damagedContentIsNotKept() async throws {
        try await withFolder { folder in
            let there = try ImageStore(root: FilePath(folder.path + "/there"))
            let here = try ImageStore(root: FilePath(folder.path + "/here"))
            let name = try repository("shop/app")
            let image = try await there.makeImage(8, layers: [5000])
            let layer = try OCIJSON.decode(Manifest.self, from: try await there.read(image)).layers[0].digest
            try await there.record(manifest: image, mediaType: MediaType.ociManifest, in: name)
            try await there.tag(tag("v1"), as: image, in: name)
            try Data(repeating: 1, count: 5000).write(to: URL(fileURLWithPath: there.path(of: layer).string))
            try await withOurRegistry(there) { port in
                let error = await #expect(throws: RegistryError.self) {
                    try await client(port).pull(name, .tag(tag("v1")), into: here, as: name)
                }
                #expect(error?.code == .digestMismatch)
                let missing = await #expect(throws: RegistryError.self) {
                    try await client(port).pull(name, .tag(tag("none")), into: here, as: name)
                }
                #expect(missing?.code == .notFound && missing?.message.contains("127.0.0.1:\(port)/shop/app:none") == true)
            }
            #expect(try here.size(of: layer) == nil)
            #expect(try await here.tags(in: name).isEmpty)
        }
    }
}
