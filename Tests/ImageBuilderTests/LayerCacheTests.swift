import Foundation
import Glibc
import ImageStore
import OCIModel
import Synchronization
import SystemPackage
import TarArchive
import Testing

@testable import ImageBuilder

/// Sees which layers were written.
private final class Watcher: LayerListener {
    private final class Sink: LayerSink {
        let watcher: Watcher
        init(_ watcher: Watcher) { self.watcher = watcher }
        func write(_ bytes: UnsafeRawBufferPointer) {}
        func finish(_ layer: Descriptor) { watcher.state.withLock { $0.append(layer.digest) } }
        func discard() {}
    }
    private let state = Mutex<[Digest]>([])
    var written: [Digest] { state.withLock { $0 } }
    func has(_ blob: Descriptor, isNew: Bool) {}
    func begin() -> (any LayerSink)? { Sink(self) }
}

/// Waits until what was written so far is old enough for its time stamps to be trusted, by the file system's own clock.
private func settle(_ shop: Workshop) throws {
    let file = shop.path.appending("clock")
    var first = stat()
    var now = stat()
    try Data().write(to: URL(fileURLWithPath: file.string))
    stat(file.string, &first)
    repeat {
        try Data().write(to: URL(fileURLWithPath: file.string))
        stat(file.string, &now)
    } while FileStamp(now).changed - FileStamp(first).changed < 80_000_000
}

@Suite struct LayerCacheTests {
    /// Ten folders of ten files, a layer each.
    private func tenLayers(_ shop: Workshop) throws -> BuildRequest {
        var copies: [BuildRequest.Copy] = []
        for folder in 0..<10 {
            for file in 0..<10 { _ = try shop.write("part\(folder)/sub/\(file)", "\(folder) \(file)") }
            copies.append(.init(source: shop.context.appending("part\(folder)"), destination: "/app/part\(folder)"))
        }
        return shop.request(copies)
    }

    @Test func anUnchangedFolderIsNotRead() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let request = try tenLayers(shop)
        try settle(shop)
        let builder = ImageBuilder(store: shop.store)
        let first = try await builder.build(request)
        #expect(first.layers.count == 10)
        for copy in request.copies {
            let source = try SourceFiles.real(copy.source)
            let index = try #require(SourceIndex(file: LayerCache(store: shop.store).sourceIndex(of: source)))
            #expect(index.isUnchanged(source))
        }
        let watcher = Watcher()
        let second = try await builder.build(request, layers: watcher)
        #expect(second.manifest == first.manifest && second.layers == first.layers)
        #expect(watcher.written.isEmpty && second.blobsWritten == 0)
    }

    @Test func aChangedFileCostsItsLayerOnly() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let request = try tenLayers(shop)
        let builder = ImageBuilder(store: shop.store)
        let first = try await builder.build(request)
        _ = try shop.write("part3/sub/7", "changed")
        let watcher = Watcher()
        let second = try await builder.build(request, layers: watcher)
        #expect(watcher.written == [second.layers[3].digest])
        #expect(zip(first.layers, second.layers).map { $0 == $1 } == (0..<10).map { $0 != 3 })
        #expect(second.blobsWritten == 3)
        // And the other way round: back to what was.
        _ = try shop.write("part3/sub/7", "3 7")
        let third = try await builder.build(request, layers: watcher)
        #expect(third.manifest == first.manifest && watcher.written.count == 1)
    }

    /// Same size, same second, written again right after the build: git's "racy" case.
    @Test func aChangeInTheSameMomentIsSeen() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let builder = ImageBuilder(store: shop.store)
        var seen: Set<Digest> = []
        for round in 0..<30 {
            let file = try shop.write("x", String(format: "%04d", round))
            seen.insert(try await builder.build(shop.request([.init(source: file, destination: "/x")])).manifest.digest)
        }
        #expect(seen.count == 30)
    }

    @Test func everySettingCounts() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        _ = try shop.write("a/b/c", "1")
        let folder = shop.context.appending("a")
        let builder = ImageBuilder(store: shop.store)
        var requests = [shop.request([.init(source: folder, destination: "/x")])]
        requests.append(shop.request([.init(source: folder, destination: "/y")]))
        requests.append(shop.request([.init(source: folder, destination: "/x", mode: 0o600)]))
        requests.append(shop.request([.init(source: folder, destination: "/x", uid: 5)]))
        requests.append(shop.request([.init(source: folder, destination: "/x")]) { $0.fileTimestamp = 0 })
        requests.append(shop.request([.init(source: folder, destination: "/x")]) { $0.compression = .zstd(level: 3) })
        requests.append(shop.request([.init(source: folder, destination: "/x")]) { $0.compression = .none })
        var layers: Set<Digest> = []
        for request in requests + requests { layers.insert(try await builder.build(request).layers[0].digest) }
        #expect(layers.count == requests.count)
        // The executable bit is content.
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.appending("b").appending("c").string)
        layers.insert(try await builder.build(requests[0]).layers[0].digest)
        #expect(layers.count == requests.count + 1)
        // Labels and times of the image are not: the layer stays.
        let relabelled = try await builder.build(shop.request([.init(source: folder, destination: "/x")]) { $0.labels = ["a": "b"] })
        #expect(layers.contains(relabelled.layers[0].digest) && relabelled.blobsWritten == 2)
    }

    @Test func theFilesElsewhereAreTheSameLayer() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let builder = ImageBuilder(store: shop.store)
        let watcher = Watcher()
        var found: Set<Digest> = []
        for place in ["one", "two"] {
            _ = try shop.write("\(place)/a/f", "content")
            let request = shop.request([.init(source: shop.context.appending(place).appending("a"), destination: "/x")])
            found.insert(try await builder.build(request, layers: watcher).layers[0].digest)
        }
        #expect(found.count == 1 && watcher.written.count == 1)
    }

    @Test func aVouchedSourceIsNotEvenThere() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let base = try await shop.base()
        _ = try shop.write("src/main", "1")
        let request = shop.request([.init(source: shop.context.appending("src"), destination: "/src", identity: "git tree 1")], base: base)
        let builder = ImageBuilder(store: shop.store)
        let first = try await builder.build(request)
        try FileManager.default.removeItem(atPath: shop.context.appending("src").string)
        #expect(try await builder.build(request).manifest == first.manifest)
        // Another label, the same layer: still nobody looks at the files.
        var labelled = request
        labelled.labels = ["a": "b"]
        #expect(try await builder.build(labelled).layers == first.layers)
        // Another commit: the files are needed.
        var other = request
        other.copies[0].identity = "git tree 2"
        await #expect(throws: ImageBuilderError.self) { try await builder.build(other) }
    }

    @Test func nothingCountsWithoutItsBlob() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let request = try tenLayers(shop)
        let builder = ImageBuilder(store: shop.store)
        let first = try await builder.build(request)
        for digest in [first.layers[4].digest, first.config, first.manifest.digest] {
            try await shop.store.deleteBlob(digest)
            let again = try await builder.build(request)
            #expect(again.manifest == first.manifest)
            #expect(try shop.store.size(of: digest) != nil)
        }
    }

    @Test func damagedCacheFilesCountAsNone() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let request = try tenLayers(shop)
        let builder = ImageBuilder(store: shop.store)
        let first = try await builder.build(request)
        let files = try run("find", shop.store.root.appending("layer-cache").string, shop.store.root.appending("indexes").string, "-type", "f")
            .split(separator: "\n").map(String.init)
        #expect(files.count > 30)
        for (number, file) in files.enumerated() {
            var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
            if bytes.isEmpty { continue }
            switch number % 3 {
            case 0: bytes.removeLast(bytes.count / 2)
            case 1: bytes[bytes.count / 2] ^= 0x55
            default: bytes = []
            }
            try Data(bytes).write(to: URL(fileURLWithPath: file))
        }
        #expect(try await builder.build(request).manifest == first.manifest)
    }

    /// What the layers below say about folders on the way is part of the layer, so it is part of its key.
    @Test func foldersOnTheWayKeepTheirTraits() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        _ = try shop.write("a/f", "1")
        _ = try shop.write("b/f", "2")
        let builder = ImageBuilder(store: shop.store)
        func build(owner: Int) async throws -> BuiltImage {
            try await builder.build(
                shop.request([
                    .init(source: shop.context.appending("a"), destination: "/app", uid: owner),
                    .init(source: shop.context.appending("b"), destination: "/app/b"),
                ]))
        }
        for owner in [1000, 2000, 1000] {
            let built = try await build(owner: owner)
            let listing = try run("tar", "--numeric-owner", "-tvf", shop.store.path(of: built.layers[1].digest).string)
            #expect(listing.contains("drwxr-xr-x \(owner)/0") && listing.contains("drwxr-xr-x 0/0"))
        }
    }

    @Test func theBaseIsRecorded() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let base = try await shop.base()
        _ = try shop.write("a", "1")
        let built = try await ImageBuilder(store: shop.store).build(
            shop.request([.init(source: shop.context.appending("a"), destination: "/a")], base: base) {
                $0.baseName = "docker.io/library/debian:12"
                $0.annotations = ["x": "y"]
            })
        #expect(
            try await shop.store.load(built.manifest.digest).manifest.annotations == [
                "x": "y", "org.opencontainers.image.base.name": "docker.io/library/debian:12",
                "org.opencontainers.image.base.digest": base.description,
            ])
    }
}
