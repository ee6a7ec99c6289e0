import Foundation
import Glibc
import ImageStore
import OCIModel
import SystemPackage
import TarArchive
import Testing

/// Images made of given layers, in a store of their own.
private struct Place {
    let scratch: Scratch
    let store: ImageStore
    let snapshots: Snapshots

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: scratch.path.appending("data"))
        snapshots = Snapshots(root: scratch.path.appending("snapshots"), store: store)
    }

    func tar(_ entries: [TarEntry]) throws -> [UInt8] {
        final class Collector: TarSink {
            var bytes: [UInt8] = []
            func write(_ piece: UnsafeRawBufferPointer) { bytes.append(contentsOf: piece) }
        }
        let sink = Collector()
        try TarWriter.write(entries, timestamp: 0, to: sink)
        return sink.bytes
    }

    /// `change` may make the descriptors lie.
    func image(_ tars: [[UInt8]], type: String = MediaType.ociLayer, change: (inout Manifest) -> Void = { _ in }) async throws -> Digest {
        var layers: [Descriptor] = []
        for tar in tars { layers.append(Descriptor(mediaType: type, digest: try await store.write(tar), size: Int64(tar.count))) }
        let config = try OCIJSON.encode(
            ImageConfig(architecture: "amd64", os: "linux", rootfs: RootFS(diffIDs: tars.map { Digest.sha256($0) })))
        var manifest = Manifest(
            config: Descriptor(mediaType: MediaType.ociConfig, digest: try await store.write(config), size: Int64(config.count)), layers: layers)
        change(&manifest)
        return try await store.write(try OCIJSON.encode(manifest))
    }

    func failure(_ image: Digest) async -> ImageStoreError? {
        do {
            _ = try await snapshots.prepare(image)
            return nil
        } catch { return error as? ImageStoreError }
    }
}

@Suite struct SnapshotTests {
    /// The same layer over two bases with another idea of where `lib` is.
    @Test func layersThatLeanOnOthersAreKeptPerBase() async throws {
        let place = try Place()
        defer { place.scratch.remove() }
        let merged = try place.tar([
            TarEntry(path: "lib", content: .symlink("usr/lib"), mode: 0o777),
            TarEntry(path: "usr/lib", content: .directory, mode: 0o711),
        ])
        let old = try place.tar([TarEntry(path: "lib", content: .directory, mode: 0o750)])
        let leaning = try place.tar([TarEntry(path: "lib/new", content: .bytes([0x6e]), mode: 0o644)])
        let alone = try place.tar([
            TarEntry(path: "etc", content: .directory, mode: 0o755), TarEntry(path: "etc/x", content: .bytes([]), mode: 0o644),
        ])
        let one = try await place.snapshots.prepare(try await place.image([merged, leaning, alone]))
        let two = try await place.snapshots.prepare(try await place.image([old, leaning, alone]))
        let three = try await place.snapshots.prepare(try await place.image([leaning]))
        func exists(_ path: FilePath, _ name: String) -> Bool { access(path.string + "/" + name, F_OK) == 0 }
        #expect(exists(one.layers[1], "usr/lib/new") && !exists(one.layers[1], "lib"))
        #expect(exists(two.layers[1], "lib/new") && !exists(two.layers[1], "usr"))
        var status = stat()
        #expect(lstat(two.layers[1].string + "/lib", &status) == 0 && status.st_mode & 0o7777 == 0o750)
        #expect(exists(three.layers[0], "lib/new"))
        #expect(Set([one.layers[1], two.layers[1], three.layers[0]]).count == 3)
        #expect(one.layers[2] == two.layers[2])
        // Again: found, not unpacked.
        let again = try await place.snapshots.prepare(try await place.image([merged, leaning, alone]))
        #expect(again.layers == one.layers)
        #expect(try await place.snapshots.remove(diffID: Digest.sha256(leaning)))
        #expect(!exists(one.layers[1], "") && !exists(two.layers[1], "") && !exists(three.layers[0], ""))
        #expect(try await place.snapshots.remove(diffID: Digest.sha256(leaning)) == false)
    }

    @Test func wrongSizeAndWrongDigest() async throws {
        let place = try Place()
        defer { place.scratch.remove() }
        let tar = try place.tar([TarEntry(path: "x", content: .bytes([1]), mode: 0o644)])
        let wrongSize = try await place.image([tar]) { $0.layers[0].size += 1 }
        #expect(await place.failure(wrongSize)?.code == .sizeMismatch)
        let other = try place.tar([TarEntry(path: "y", content: .bytes([1]), mode: 0o644)])
        let digest = try await place.store.write(other)
        let wrongContent = try await place.image([tar]) {
            $0.layers[0].digest = digest; $0.layers[0].size = Int64(other.count)
        }
        await #expect { try await place.snapshots.prepare(wrongContent) } throws: { ($0 as? TarError)?.code == .digestMismatch }
        // Nothing half done is left.
        #expect(place.scratch.names("snapshots").allSatisfy { $0.hasPrefix(".") })
    }

    @Test func mediaTypesMustBeTrue() async throws {
        let place = try Place()
        defer { place.scratch.remove() }
        let tar = try place.tar([TarEntry(path: "x", content: .bytes([1]), mode: 0o644)])
        await #expect { try await place.snapshots.prepare(try await place.image([tar], type: MediaType.ociLayerGzip)) } throws: {
            ($0 as? TarError)?.code == .invalidArchive
        }
        for type in ["application/vnd.docker.image.rootfs.diff.tar.zstd", "application/octet-stream", ""] {
            let found = await place.failure(try await place.image([tar], type: type))
            #expect(found?.code == .unsupported)
        }
        _ = try await place.snapshots.prepare(try await place.image([tar]))
    }

    @Test(arguments: [MediaType.ociLayerZstd, MediaType.dockerLayerGzip, MediaType.ociLayer])
    func zstdUnderItsOwnTypeOnly(type: String) async throws {
        let place = try Place()
        defer { place.scratch.remove() }
        let tar = try place.tar([TarEntry(path: "x", content: .bytes([1]), mode: 0o644)])
        let file = place.scratch.path.appending("layer").string
        try Data(tar).write(to: URL(fileURLWithPath: file))
        let process = try Process.run(URL(fileURLWithPath: "/usr/bin/zstd"), arguments: ["-q", file])
        process.waitUntilExit()
        let packed = Array(try Data(contentsOf: URL(fileURLWithPath: file + ".zst")))
        let digest = try await place.store.write(packed)
        let image = try await place.image([tar], type: type) {
            $0.layers[0].digest = digest; $0.layers[0].size = Int64(packed.count)
        }
        if type == MediaType.ociLayerZstd {
            #expect(try await place.snapshots.prepare(image).layers.count == 1)
        } else {
            await #expect { try await place.snapshots.prepare(image) } throws: { ($0 as? TarError)?.code == .invalidArchive }
        }
    }

    @Test func foreignLayersAreNamed() async throws {
        let place = try Place()
        defer { place.scratch.remove() }
        let tar = try place.tar([TarEntry(path: "x", content: .bytes([1]), mode: 0o644)])
        let type = "application/vnd.oci.image.layer.nondistributable.v1.tar"
        let image = try await place.image([tar], type: type) { $0.layers[0].urls = ["https://publisher.example/layer"] }
        try await place.store.deleteBlob(Digest.sha256(tar))
        let error = await place.failure(image)
        #expect(error?.code == .notFound && error?.message.contains("foreign") == true)
        #expect(error?.hint.contains("https://publisher.example/layer") == true)
        // Fetched by other means, it is a layer like any other.
        try await place.store.write(tar)
        #expect(try await place.snapshots.prepare(image).layers.count == 1)
    }

    @Test func manifestsAboveFourMebibytesAreRefused() async throws {
        let place = try Place()
        defer { place.scratch.remove() }
        let tar = try place.tar([])
        let image = try await place.image([tar]) { $0.annotations = ["x": String(repeating: "y", count: 4 << 20)] }
        #expect(await place.failure(image)?.code == .sizeMismatch)
    }

    @Test func limitsComeFromTheStore() async throws {
        let place = try Place()
        defer { place.scratch.remove() }
        var store = place.store
        store.limits.entries = 1
        let tar = try place.tar([TarEntry(path: "x", content: .bytes([1]), mode: 0o644), TarEntry(path: "y", content: .bytes([1]), mode: 0o644)])
        let image = try await place.image([tar])
        await #expect { try await Snapshots(root: place.snapshots.root, store: store).prepare(image) } throws: {
            ($0 as? TarError)?.hint.contains("SLIPWAY_LAYERS_MAX_ENTRIES") == true
        }
    }
}
