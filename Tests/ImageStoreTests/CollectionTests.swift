import Foundation
import ImageStore
import OCIModel
import SystemPackage
import Testing

/// A store with small images in it, whose collection grants no grace.
private struct Shop: Sendable {
    let scratch: Scratch
    let store: ImageStore
    let policy = CollectionPolicy(grace: .zero, uploadExpiry: .zero, cacheExpiry: .zero)

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: scratch.path)
    }

    func blob(_ text: String) async throws -> Descriptor {
        let bytes = Array(text.utf8)
        return Descriptor(mediaType: MediaType.ociLayer, digest: try await store.write(bytes), size: Int64(bytes.count))
    }

    @discardableResult
    func image(
        _ text: String, tag: String?, in name: String = "shop/app", layers: [Descriptor]? = nil, subject: Descriptor? = nil
    ) async throws -> Descriptor {
        let repository = try RepositoryName(parsing: name)
        let config = ImageConfig(architecture: "amd64", os: "linux", rootfs: RootFS(diffIDs: [.sha256(Array("plain \(text)".utf8))]))
        let document = try OCIJSON.encode(config)
        let configDigest = try await store.write(document)
        let own = try await blob("layer \(text)")
        let manifest = Manifest(
            config: Descriptor(mediaType: MediaType.ociConfig, digest: configDigest, size: Int64(document.count)),
            layers: layers ?? [own], subject: subject, annotations: ["name": text])
        let bytes = try OCIJSON.encode(manifest)
        let digest = try await store.write(bytes)
        try await store.record(manifest: digest, mediaType: MediaType.ociManifest, in: repository)
        if let tag { try await store.tag(Tag(parsing: tag), as: digest, in: repository) }
        return Descriptor(mediaType: MediaType.ociManifest, digest: digest, size: Int64(bytes.count))
    }

    /// Lets a file look as if it was last used `days` ago.
    func age(_ path: String, days: Double) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -days * 86_400)], ofItemAtPath: scratch.path.appending(path).string)
    }
}

@Suite struct CollectionTests {
    private let name = RepositoryName.shop

    @Test func collectionsTakeTurnsAlsoBetweenProcesses() async throws {
        let shop = try Shop()
        defer { shop.scratch.remove() }
        let kept = try await shop.image("kept", tag: "v1")
        for number in 0..<100 { _ = try await shop.blob("unused \(number)") }
        let policy = shop.policy
        let removed = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                // A value of its own is like a process of its own: locks are of descriptors.
                let store = try ImageStore(root: shop.scratch.path)
                group.addTask { try await store.collect(policy).blobsRemoved }
            }
            return try await group.reduce(0, +)
        }
        #expect(removed == 100)
        #expect(try shop.store.size(of: kept.digest) != nil)
    }

    @Test func removesOnlyWhatNothingRefersTo() async throws {
        let shop = try Shop()
        defer { shop.scratch.remove() }
        let kept = try await shop.image("kept", tag: "v1")
        let untagged = try await shop.image("untagged", tag: nil)
        let index = try OCIJSON.encode(Index(manifests: [kept]))
        let indexDigest = try await shop.store.write(index)
        try await shop.store.record(manifest: indexDigest, mediaType: MediaType.ociIndex, in: name)
        let gone = try await shop.image("gone", tag: "old")
        let orphan = try await shop.blob("orphan")
        let pinned = try await shop.image("pinned", tag: "running")
        for digest in [gone.digest, pinned.digest] { #expect(try await shop.store.deleteManifest(digest, in: name)) }

        var policy = shop.policy
        policy.pins = [pinned.digest]
        policy.dryRun = true
        let rehearsal = try await shop.store.collect(policy)
        #expect(rehearsal.blobsRemoved == 4 && rehearsal.removed.contains("blob \(orphan.digest) 6 bytes"))
        #expect(try shop.store.size(of: orphan.digest) == 6)

        policy.dryRun = false
        let report = try await shop.store.collect(policy)
        #expect(report.blobsRemoved == 4 && report.bytesFreed == rehearsal.bytesFreed && report.blobsKept == 10)
        for digest in [orphan.digest, gone.digest, .sha256(Array("layer gone".utf8))] {
            #expect(try shop.store.size(of: digest) == nil)
        }
        for image in [kept, untagged, pinned] {
            let loaded = try await shop.store.load(image.digest)
            for layer in loaded.manifest.layers { #expect(try await !shop.store.read(layer.digest).isEmpty) }
        }
        #expect(shop.scratch.names("references/shop/app/_blobs").count == 4)
        #expect(try await shop.store.collect(policy).blobsRemoved == 0)
    }

    @Test func graceProtectsWhatIsOnTheWay() async throws {
        let shop = try Shop()
        defer { shop.scratch.remove() }
        let fresh = try await shop.blob("fresh")
        let renewed = try await shop.blob("renewed")
        let old = try await shop.blob("old")
        let upload = try await shop.store.beginUpload()
        let abandoned = try await shop.store.beginUpload()
        for digest in [renewed.digest, old.digest] { try shop.age("blobs/sha256/\(digest.hex)", days: 2) }
        try shop.age("uploads/\(abandoned)", days: 2)
        #expect(try await shop.store.renew(renewed.digest) == 7)
        let report = try await shop.store.collect(CollectionPolicy())
        #expect(report.blobsRemoved == 1 && report.uploadsRemoved == 1)
        #expect(try shop.store.size(of: old.digest) == nil)
        #expect(try shop.store.size(of: fresh.digest) == 5 && shop.store.size(of: renewed.digest) == 7)
        #expect(try await shop.store.uploadSize(upload) == 0)
        #expect(try await shop.store.uploadSize(abandoned) == nil)
    }

    @Test func retentionKeepsTheNewestAndTheYoung() async throws {
        let shop = try Shop()
        defer { shop.scratch.remove() }
        var images: [String: Descriptor] = [:]
        for (tag, days) in [("a", 50.0), ("b", 40), ("c", 30), ("d", 20), ("e", 1)] {
            images[tag] = try await shop.image(tag, tag: tag)
            try shop.age("references/shop/app/_tags/\(tag)", days: days)
        }
        let first = try #require(images["a"])
        let evidence = try await shop.image("evidence", tag: nil, subject: first)
        try await shop.image("elsewhere", tag: "x", in: "other/app")
        try shop.age("references/other/app/_tags/x", days: 400)
        for file in shop.scratch.names("references/shop/app/_manifests") {
            try shop.age("references/shop/app/_manifests/\(file)", days: 60)
        }
        var policy = shop.policy
        policy.pins = [try #require(images["b"]).digest]
        policy.retention = [
            RetentionRule(repositories: try RepositoryPattern(parsing: "shop/*"), keepLast: 1, keepFor: .seconds(25 * 86_400))
        ]
        let report = try await shop.store.collect(policy)
        #expect(try await shop.store.tags(in: name).map(\.rawValue) == ["b", "d", "e"])
        #expect(report.tagsRemoved == 2 && report.manifestsRemoved == 3)
        #expect(try shop.store.size(of: evidence.digest) == nil && shop.store.size(of: first.digest) == nil)
        #expect(try await shop.store.referrers(of: first.digest, in: name).isEmpty)
        #expect(try await shop.store.tags(in: RepositoryName(parsing: "other/app")).count == 1)
    }

    @Test func snapshotsGoWithTheirImagesUnlessAContainerUsesThem() async throws {
        let shop = try Shop()
        defer { shop.scratch.remove() }
        let snapshots = Snapshots(root: shop.scratch.path.appending("snapshots"), store: shop.store)
        let containers = shop.scratch.path.appending("containers")
        let files = FileManager.default
        func layer(_ text: String) -> String { Digest.sha256(Array("plain \(text)".utf8)).hex }
        for text in ["kept", "running", "gone"] {
            let folder = snapshots.root.appending(layer(text)).string
            try files.createDirectory(atPath: folder + "/bin", withIntermediateDirectories: true)
        }
        try await shop.image("kept", tag: "v1")
        let links = containers.appending("c1").appending("l").string
        try files.createDirectory(atPath: links, withIntermediateDirectories: true)
        try files.createSymbolicLink(
            atPath: links + "/0", withDestinationPath: snapshots.root.appending(layer("running")).string)
        let report = try await shop.store.collect(shop.policy, snapshots: snapshots, containers: containers)
        #expect(report.snapshotsRemoved == 1)
        #expect(shop.scratch.names("snapshots") == [layer("kept"), layer("running")].sorted())
    }

    @Test func repositoriesOfAnOlderStoreAreAdopted() async throws {
        let shop = try Shop()
        defer { shop.scratch.remove() }
        let image = try await shop.image("one", tag: "v1")
        let evidence = try await shop.image("two", tag: nil, subject: image)
        for folder in ["_blobs", "_referrers"] {
            try FileManager.default.removeItem(atPath: shop.scratch.path.appending("references/shop/app/\(folder)").string)
        }
        let layer = Digest.sha256(Array("layer one".utf8))
        #expect(try await shop.store.holds(layer, in: name) == 9)
        #expect(try await shop.store.holds(layer, in: RepositoryName(parsing: "other/app")) == nil)
        #expect(try await shop.store.referrers(of: image.digest, in: name).map(\.digest) == [evidence.digest])
    }

    /// Pushes and pulls race each other, deletions and collections, some of which grant nothing any grace: a push may have
    /// to send a blob again, but what it was told is there stays. SLIPWAY_RACE_PUSHES says how many.
    @Test func racingPushesLoseNothing() async throws {
        let rounds = Int(ProcessInfo.processInfo.environment["SLIPWAY_RACE_PUSHES"] ?? "") ?? 60
        let shop = try Shop()
        defer { shop.scratch.remove() }
        let done = Flag()
        let policy = shop.policy
        try await withThrowingTaskGroup(of: Int.self) { group in
            group.addTask {
                var removed = 0
                var patient = policy
                patient.grace = .milliseconds(300)
                // On a slow disk nobody could finish a push between two of these.
                let harshUntil = ContinuousClock.now + .seconds(20)
                var round = 0
                repeat {
                    let isHarsh = round % 4 == 0 && ContinuousClock.now < harshUntil
                    if ContinuousClock.now >= harshUntil { patient.grace = .seconds(60) }
                    removed += try await shop.store.collect(isHarsh ? policy : patient).blobsRemoved
                    round += 1
                } while !done.isSet
                return removed
            }
            group.addTask {
                try await withThrowingTaskGroup(of: Void.self) { workers in
                    for worker in 0..<4 {
                        workers.addTask { for round in 0..<(rounds / 4) { try await Self.push(shop, worker, round) } }
                    }
                    try await workers.waitForAll()
                }
                done.set()
                return 0
            }
            var removed = 0
            for try await count in group { removed += count }
            #expect(removed > 0)
        }
        _ = try await shop.store.collect(policy)
        var referenced: Set<Digest> = []
        for repository in try await shop.store.repositories() {
            for manifest in try await shop.store.manifests(in: repository) {
                let loaded = try await shop.store.load(manifest.digest)
                referenced.formUnion([manifest.digest, loaded.manifest.config.digest] + loaded.manifest.layers.map(\.digest))
                for layer in loaded.manifest.layers { try await shop.store.verify(layer.digest) }
            }
        }
        #expect(Set(try await shop.store.blobDigests()) == referenced)
    }

    /// One push: half of them share their layer with others, every third image is deleted again, some blobs stay orphans.
    private static func push(_ shop: Shop, _ worker: Int, _ round: Int) async throws {
        let repository = try RepositoryName(parsing: "race/w\(worker % 2)")
        let text = round % 2 == 0 ? "shared \(round / 8)" : "own \(worker) \(round)"
        let config = try OCIJSON.encode(ImageConfig(architecture: "amd64", os: "linux", rootfs: RootFS(diffIDs: [.sha256([1])])))
        let layer = Array("layer \(text)".utf8)
        let manifest = Manifest(
            config: Descriptor(mediaType: MediaType.ociConfig, digest: .sha256(config), size: Int64(config.count)),
            layers: [Descriptor(mediaType: MediaType.ociLayer, digest: .sha256(layer), size: Int64(layer.count))],
            annotations: ["push": "\(worker) \(round)"])
        let document = try OCIJSON.encode(manifest)
        let digest = Digest.sha256(document)
        for attempt in 0... {
            do {
                for bytes in [config, layer] {
                    let blob = Digest.sha256(bytes)
                    if try await shop.store.holds(blob, in: repository) == nil {
                        let id = try await shop.store.beginUpload()
                        _ = try await shop.store.append(bytes, to: id, at: 0)
                        try await shop.store.finishUpload(id, expecting: blob)
                        try await shop.store.add(blob, to: repository)
                    }
                }
                try await shop.store.write(document)
                try await shop.store.admit(
                    manifest: digest, mediaType: MediaType.ociManifest, in: repository,
                    requiring: [.sha256(config), .sha256(layer)])
                break
            } catch let error as ImageStoreError where [.notFound, .incomplete, .busy].contains(error.code) && attempt < 10_000 {
                continue
            }
        }
        // Told that it is there: so it is, and can be pulled.
        for blob in [Digest.sha256(config), .sha256(layer)] {
            #expect(try await shop.store.holds(blob, in: repository) != nil)
        }
        #expect(try await shop.store.load(digest).manifest == manifest)
        #expect(try await shop.store.read(.sha256(layer)) == layer)
        if round % 3 == 0 { try await shop.store.deleteManifest(digest, in: repository) }
        if round % 5 == 0 { _ = try await shop.blob("orphan \(worker) \(round)") }
    }
}

private final class Flag: @unchecked Sendable {
    // Guarded by the lock.
    private var value = false
    private let lock = NSLock()
    var isSet: Bool { lock.withLock { value } }
    func set() { lock.withLock { value = true } }
}

extension RepositoryName {
    /// The one most tests use.
    fileprivate static var shop: RepositoryName {
        guard let name = try? RepositoryName(parsing: "shop/app") else { preconditionFailure("a valid name") }
        return name
    }
}

@Suite struct RepositoryPatternTests {
    @Test(arguments: [
        ("shop/*", "shop/gtin", true), ("shop/*", "shop/a/b", false), ("shop/**", "shop/a/b", true), ("*", "a/b/c", true),
        ("**", "a", true), ("shop/gtin", "shop/gtin", true), ("shop/gtin", "shop/gtin2", false), ("*-dev/x", "a-dev/x", true),
        ("team/**/api", "team/api", true), ("team/**/api", "team/a/b/api", true), ("team/**/api", "team/a", false),
        ("a*b*c", "axxbyyc", true), ("a*b*c", "axxbyy", false), ("shop/*", "shop", false),
    ])
    func matches(_ pattern: String, _ name: String, _ expected: Bool) throws {
        #expect(try RepositoryPattern(parsing: pattern).matches(RepositoryName(parsing: name)) == expected)
    }

    @Test(arguments: ["", "/", "a//b", "A", "a b", "a**", "shop/", "a,b"])
    func refused(_ pattern: String) { #expect(throws: OCIError.self) { try RepositoryPattern(parsing: pattern) } }
}
