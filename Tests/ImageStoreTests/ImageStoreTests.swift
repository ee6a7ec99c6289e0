import Foundation
import ImageStore
import OCIModel
import SystemPackage
import Testing

/// A temporary folder, removed by `remove()` when the test ends.
final class Scratch: Sendable {
    let path: FilePath
    init() throws {
        let name = "slipway-images-\(UUID().uuidString)"
        path = FilePath(FileManager.default.temporaryDirectory.path).appending(name)
        try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
    }
    func remove() { try? FileManager.default.removeItem(atPath: path.string) }
    func names(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path.appending(folder).string)) ?? []).sorted()
    }
}

func code(_ body: () async throws -> Void) async -> ImageStoreError.Code? {
    do {
        try await body()
        return nil
    } catch { return (error as? ImageStoreError)?.code }
}

@Suite struct BlobTests {
    @Test func keepsWhatItVerified() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = try ImageStore(root: scratch.path)
        let bytes = Array("hello".utf8)
        let digest = try await store.write(bytes)
        #expect(digest.hex == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        #expect(try store.size(of: digest) == 5)
        #expect(try await store.read(digest) == bytes)
        #expect(await code { _ = try await store.read(digest, limit: 4) } == .sizeMismatch)
        #expect(scratch.names("uploads").isEmpty)
    }

    @Test func refusesOtherContent() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = try ImageStore(root: scratch.path)
        let other = Digest.sha256(Array("other".utf8))
        #expect(await code { try await store.write([1, 2, 3], expecting: other) } == .digestMismatch)
        let file = store.temporaryPath()
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: file.string))
        #expect(await code { _ = try await store.ingest(file: file, expecting: other) } == .digestMismatch)
        #expect(scratch.names("uploads").isEmpty)
        #expect(scratch.names("blobs/sha256").isEmpty)
        #expect(await code { _ = try await store.read(other) } == .notFound)
    }

    @Test func detectsDamageAndTakesAGoodCopyAgain() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = try ImageStore(root: scratch.path)
        let bytes = [UInt8](repeating: 7, count: 100_000)
        let digest = try await store.write(bytes)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: store.path(of: digest).string))
        try handle.seek(toOffset: 50_000)
        try handle.write(contentsOf: [8])
        try handle.close()
        #expect(await code { try await store.verify(digest) } == .corrupted)
        #expect(try store.size(of: digest) == nil)
        try await store.write(bytes)
        #expect(try await store.read(digest) == bytes)
    }
}

@Suite struct UploadTests {
    @Test func resumesAfterARestart() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let first = try ImageStore(root: scratch.path)
        let id = try await first.beginUpload()
        #expect(try await first.append([1, 2, 3], to: id, at: 0) == 3)
        let second = try ImageStore(root: scratch.path)
        #expect(try await second.uploadSize(id) == 3)
        #expect(await code { _ = try await second.append([9], to: id, at: 2) } == .rangeNotSatisfiable)
        #expect(try await second.append([4, 5], to: id, at: 3) == 5)
        let digest = Digest.sha256([1, 2, 3, 4, 5])
        #expect(try await second.finishUpload(id, expecting: digest) == 5)
        #expect(try await second.read(digest) == [1, 2, 3, 4, 5])
        #expect(try await second.uploadSize(id) == nil)
    }

    @Test func removesAnUploadWithTheWrongDigest() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = try ImageStore(root: scratch.path)
        let id = try await store.beginUpload()
        _ = try await store.append([1], to: id, at: 0)
        #expect(await code { _ = try await store.finishUpload(id, expecting: Digest.sha256([2])) } == .digestMismatch)
        #expect(try await store.uploadSize(id) == nil)
        #expect(scratch.names("blobs/sha256").isEmpty)
    }

    @Test(arguments: ["../../etc/passwd", "", "tmp-1", String(repeating: "a", count: 31), "/etc/hostname"])
    func unknownIdsGoNowhere(id: String) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = try ImageStore(root: scratch.path)
        #expect(try await store.uploadSize(id) == nil)
        #expect(await code { _ = try await store.append([1], to: id, at: 0) } == .notFound)
        #expect(await code { try await store.cancelUpload(id) } == .notFound)
    }

    @Test func emptyUploadIsTheEmptyBlob() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = try ImageStore(root: scratch.path)
        let id = try await store.beginUpload()
        #expect(try await store.finishUpload(id, expecting: Digest.sha256([])) == 0)
        #expect(try store.size(of: Digest.sha256([])) == 0)
    }
}

@Suite struct ReferenceTests {
    @Test func namesManifestsPerRepository() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let store = try ImageStore(root: scratch.path)
        let shop = try RepositoryName(parsing: "shop/gtin")
        let nested = try RepositoryName(parsing: "shop/gtin/tags")
        let latest = try Tag(parsing: "latest")
        let one = try await store.write([1])
        let two = try await store.write([2])
        #expect(await code { try await store.tag(latest, as: one, in: shop) } == .notFound)
        for manifest in [one, two] {
            try await store.record(manifest: manifest, mediaType: MediaType.ociManifest, in: shop)
        }
        try await store.record(manifest: one, mediaType: MediaType.ociIndex, in: nested)
        try await store.tag(latest, as: one, in: shop)
        try await store.tag(latest, as: two, in: shop)
        try await store.tag(Tag(parsing: "1.0"), as: one, in: shop)
        #expect(try await store.resolve(latest, in: shop) == two)
        #expect(try await store.resolve(latest, in: nested) == nil)
        #expect(try await store.tags(in: shop).map(\.rawValue) == ["1.0", "latest"])
        #expect(try await store.repositories() == [shop, nested])
        #expect(try await store.manifestMediaType(one, in: nested) == MediaType.ociIndex)
        #expect(try await store.manifestMediaType(two, in: nested) == nil)
        let found = try await store.resolve(ImageReference(parsing: "localhost:5000/shop/gtin"))
        #expect(found?.digest == two)
        #expect(try await store.deleteManifest(one, in: shop))
        #expect(try await store.deleteManifest(one, in: shop) == false)
        #expect(try await store.tags(in: shop) == [latest])
        #expect(try await store.deleteTag(latest, in: shop))
        #expect(try await store.resolve(latest, in: shop) == nil)
        #expect(try await store.manifests(in: shop).map(\.digest) == [two])
    }
}
