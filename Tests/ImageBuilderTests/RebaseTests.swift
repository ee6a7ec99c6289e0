import Foundation
import ImageBuilder
import ImageStore
import OCIModel
import SystemPackage
import TarArchive
import Testing

/// Bases and images made of given files.
private struct Yard {
    let shop: Workshop
    let platform = Platform(architecture: "amd64", os: "linux")

    init() throws { shop = try Workshop() }

    func layer(_ entries: [TarEntry]) async throws -> (Descriptor, Digest) {
        let file = shop.store.temporaryPath()
        let summary = try LayerCompressor.compress(to: file, threads: 1) { try TarWriter.write(entries, timestamp: 0, to: $0) }
        try await shop.store.ingest(file: file, digest: summary.digest, size: summary.size)
        return (Descriptor(mediaType: MediaType.ociLayerGzip, digest: summary.digest, size: summary.size), summary.diffID)
    }

    func image(
        _ layers: [[TarEntry]], over base: Digest? = nil, arch: String = "amd64", change: (inout ExecutionConfig) -> Void = { _ in }
    ) async throws -> Digest {
        var below: LoadedImage?
        if let base { below = try await shop.store.load(base, platform: Platform(architecture: arch, os: "linux")) }
        var config = below?.config ?? ImageConfig(architecture: arch, os: "linux", rootfs: RootFS(diffIDs: []), history: [])
        var descriptors = below?.manifest.layers ?? []
        for (number, entries) in layers.enumerated() {
            let (descriptor, diffID) = try await layer(entries)
            descriptors.append(descriptor)
            config.rootfs.diffIDs.append(diffID)
            config.history?.append(History(createdBy: "\(base == nil ? "base" : "own") \(number)"))
        }
        var execution = config.config ?? ExecutionConfig()
        change(&execution)
        config.config = execution
        let bytes = try OCIJSON.encode(config)
        let manifest = Manifest(
            config: Descriptor(mediaType: MediaType.ociConfig, digest: try await shop.store.write(bytes), size: Int64(bytes.count)),
            layers: descriptors,
            annotations: below.map {
                ["org.opencontainers.image.base.digest": $0.digest.description, "org.opencontainers.image.base.name": "library/base:1", "mine": "1"]
            })
        return try await shop.store.write(try OCIJSON.encode(manifest))
    }

    /// The conflict a rebase is refused with; nil when it is done.
    func conflict(_ old: [TarEntry], _ new: [TarEntry], _ own: [[TarEntry]]) async throws -> String? {
        let before = try await image([old])
        let after = try await image([new])
        do {
            _ = try await ImageRebase(store: shop.store).rebase(image(own, over: before), onto: after, name: "library/base:2")
            return nil
        } catch let error as ImageBuilderError {
            #expect(error.code == .baseConflict)
            return error.message
        }
    }
}

private func file(_ path: String, _ text: String = "", mode: UInt16 = 0o644) -> TarEntry {
    TarEntry(path: path, content: .bytes(Array(text.utf8)), mode: mode)
}
private func folder(_ path: String, mode: UInt16 = 0o755) -> TarEntry { TarEntry(path: path, content: .directory, mode: mode) }
private func link(_ path: String, _ target: String) -> TarEntry { TarEntry(path: path, content: .symlink(target), mode: 0o777) }
private func hardlink(_ path: String, _ target: String) -> TarEntry { TarEntry(path: path, content: .hardlink(target), mode: 0o644) }

@Suite struct RebaseTests {
    @Test func movesLayersConfigHistoryAndAnnotations() async throws {
        let yard = try Yard()
        defer { yard.shop.remove() }
        let before = try await yard.image([[folder("usr"), file("usr/lib", "old")]]) { config in
            config.env = ["PATH=/bin", "VERSION=1", "GONE=1"]
            config.entrypoint = ["/init"]
            config.labels = ["vendor": "old", "dropped": "1"]
            config.user = "1"
        }
        let after = try await yard.image([[folder("usr"), file("usr/lib", "new")], [file("extra")]]) { config in
            config.env = ["PATH=/usr/bin", "VERSION=2", "NEW=1"]
            config.entrypoint = ["/sbin/init"]
            config.labels = ["vendor": "new"]
            config.user = "1"
            config.stopSignal = "SIGINT"
        }
        let image = try await yard.image([[folder("usr"), file("usr/app", "a")], [folder("srv")]], over: before) { config in
            config.env = ["PATH=/bin", "VERSION=own", "GONE=1", "APP=1"]
            config.labels?["app"] = "x"
            config.workingDir = "/srv"
            config.user = "7"
        }
        let rebase = ImageRebase(store: yard.shop.store)
        let moved = try await rebase.rebase(image, onto: after, name: "library/base:2")
        #expect(moved == (try await rebase.rebase(image, onto: after, name: "library/base:2", oldBase: before)))
        let (old, new, own) = (
            try await yard.shop.store.load(image), try await yard.shop.store.load(after), try await yard.shop.store.load(moved.digest)
        )
        #expect(own.manifest.layers == new.manifest.layers + old.manifest.layers.dropFirst())
        #expect(own.config.rootfs.diffIDs == new.config.rootfs.diffIDs + old.config.rootfs.diffIDs.dropFirst())
        #expect(own.config.history?.map(\.createdBy) == ["base 0", "base 1", "own 0", "own 1"])
        let config = try #require(own.config.config)
        #expect(config.env == ["PATH=/usr/bin", "VERSION=own", "NEW=1", "APP=1"])
        #expect(config.labels == ["vendor": "new", "app": "x"])
        #expect(config.entrypoint == ["/sbin/init"] && config.user == "7" && config.workingDir == "/srv" && config.stopSignal == "SIGINT")
        #expect(
            own.manifest.annotations == [
                "org.opencontainers.image.base.digest": after.description, "org.opencontainers.image.base.name": "library/base:2", "mine": "1",
            ])
        // And back again: the very image we had.
        #expect(try await rebase.rebase(moved.digest, onto: before, name: "library/base:1").digest == image)
    }

    @Test func safeChangesPass() async throws {
        let yard = try Yard()
        defer { yard.shop.remove() }
        let old = [
            folder("etc"), file("etc/same", "s"), file("etc/other", "1"), folder("tmp", mode: 0o1777), link("lib", "usr/lib"), folder("usr"),
            folder("usr/lib"),
        ]
        let new = [
            folder("etc"), file("etc/same", "s"), file("etc/other", "2"), file("etc/new"), folder("tmp", mode: 0o1777), link("lib", "usr/lib"),
            folder("usr"), folder("usr/lib"),
        ]
        let own = [
            [folder("etc"), file("etc/same", "mine"), folder("tmp", mode: 0o1777), file("lib/app", "a"), hardlink("app", "lib/app")],
            [file("etc/.wh.same"), file("opt/x"), hardlink("opt/y", "opt/x"), folder("srv"), file("srv/.wh..wh..opq"), file(".wh.never")],
        ]
        #expect(try await yard.conflict(old, new, own) == nil)
        // Deleting what is gone anyway, and adding what the new base has too.
        #expect(try await yard.conflict([file("a")], [file("b", "x")], [[file(".wh.a"), file("b", "x")]]) == nil)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let path: String
        let old: [TarEntry]
        let new: [TarEntry]
        let own: [[TarEntry]]
        var testDescription: String { path }
        init(_ path: String, _ old: [TarEntry], _ new: [TarEntry], _ own: [TarEntry]...) {
            (self.path, self.old, self.new, self.own) = (path, old, new, own)
        }
    }

    static let refused = [
        Case("/etc/x: the image replaces it, and it changed in", [file("etc/x", "1")], [file("etc/x", "2")], [file("etc/x", "3")]),
        Case("/etc/x: the image replaces it, and it is gone", [folder("etc"), file("etc/x")], [folder("etc")], [file("etc/x", "3")]),
        Case("/etc/x: the image replaces it, and it is new in", [folder("etc")], [folder("etc"), file("etc/x", "2")], [file("etc/x", "3")]),
        Case("/etc/x: the image replaces it, and it changed in", [file("etc/x")], [file("etc/x", mode: 0o600)], [file("etc/x", "3")]),
        Case("/a: the image deletes it, and it changed", [file("a", "1")], [file("a", "2")], [file(".wh.a")]),
        Case("/d/in/deep: the image deletes it, and it is new", [folder("d/in")], [folder("d/in"), file("d/in/deep")], [file(".wh.d")]),
        Case("/d/y: the image empties the folder, and this is new", [file("d/x")], [file("d/x"), file("d/y")], [file("d/.wh..wh..opq")]),
        Case("/tool: a hard link leads to it, and it changed", [file("tool", "1")], [file("tool", "2")], [hardlink("copy", "tool")]),
        Case("/t/x: the image has files in it, and it is gone", [folder("t"), folder("t/x")], [folder("t")], [file("t/x/app")]),
        Case(
            "/lib/app: the entry lies in /usr/lib over the old base, but lies in /lib", [link("lib", "usr/lib")], [folder("lib")], [file("lib/app")]),
        Case(
            "/lib/app: the entry lies in /lib over the old base, but lies in /usr/lib", [folder("lib")], [link("lib", "usr/lib")], [file("lib/app")]),
        Case("/lib: the image has a folder there, and it changed", [link("lib", "usr/lib")], [link("lib", "usr/lib64")], [folder("lib")]),
        Case("/d/app: the entry lies in /d over the old base, but lies below a file", [folder("d")], [file("d")], [file("d/app")]),
        Case("/tmp: the image sets the folder's mode", [folder("tmp", mode: 0o777)], [folder("tmp", mode: 0o1777)], [folder("tmp", mode: 0o777)]),
        Case("/s: both the image and the new base make this folder", [], [folder("s", mode: 0o700)], [folder("s")]),
        Case("/s: is a folder in the image", [], [file("s")], [folder("s")]),
    ]

    @Test(arguments: refused)
    func unsafeOnesAreRefusedNamingThePath(example: Case) async throws {
        let yard = try Yard()
        defer { yard.shop.remove() }
        let message = try await yard.conflict(example.old, example.new, example.own)
        #expect(message?.contains(example.path) == true, "\(message ?? "accepted")")
    }

    @Test func theOldBaseMustBeTheImages() async throws {
        let yard = try Yard()
        defer { yard.shop.remove() }
        let before = try await yard.image([[file("a")]])
        let after = try await yard.image([[file("b")]])
        let image = try await yard.image([[file("c")]], over: before)
        let rebase = ImageRebase(store: yard.shop.store)
        await #expect { try await rebase.rebase(image, onto: after, name: nil, oldBase: after) } throws: {
            ($0 as? ImageBuilderError)?.code == .baseConflict
        }
        await #expect { try await rebase.rebase(before, onto: after, name: nil) } throws: { ($0 as? ImageBuilderError)?.code == .invalidRequest }
        let arm = try await yard.image([[file("b")]], arch: "arm64")
        await #expect { try await rebase.rebase(image, onto: arm, name: nil) } throws: { ($0 as? ImageBuilderError)?.code == .platformMismatch }
        try await yard.shop.store.deleteBlob(before)
        await #expect { try await rebase.rebase(image, onto: after, name: nil) } throws: { ($0 as? ImageStoreError)?.code == .notFound }
    }

    @Test func commandsForAnotherEntrypointAreRefused() async throws {
        let yard = try Yard()
        defer { yard.shop.remove() }
        let before = try await yard.image([]) {
            $0.entrypoint = ["/a"]; $0.cmd = ["x"]
        }
        let after = try await yard.image([]) { $0.entrypoint = ["/b"] }
        let rebase = ImageRebase(store: yard.shop.store)
        let command = try await yard.image([], over: before) { $0.cmd = ["y"] }
        await #expect { try await rebase.rebase(command, onto: after, name: nil) } throws: { ($0 as? ImageBuilderError)?.code == .baseConflict }
        let entrypoint = try await yard.image([], over: before) {
            $0.entrypoint = ["/c"]; $0.cmd = nil
        }
        let moved = try await rebase.rebase(entrypoint, onto: after, name: nil)
        #expect(try await yard.shop.store.load(moved.digest).config.config?.entrypoint == ["/c"])
    }

    @Test func wholeIndexesByPlatform() async throws {
        let yard = try Yard()
        defer { yard.shop.remove() }
        func index(_ images: [(Digest, String)], attestation: Bool = false) async throws -> Digest {
            var entries: [Descriptor] = []
            for (digest, arch) in images {
                entries.append(
                    Descriptor(
                        mediaType: MediaType.ociManifest, digest: digest, size: try yard.shop.store.size(of: digest) ?? 0,
                        platform: Platform(architecture: arch, os: "linux")))
            }
            if attestation, var copy = entries.first {
                copy.platform = Platform(architecture: "unknown", os: "unknown")
                entries.append(copy)
            }
            return try await yard.shop.store.write(try OCIJSON.encode(Index(manifests: entries)))
        }
        var (olds, news, owns): ([(Digest, String)], [(Digest, String)], [(Digest, String)]) = ([], [], [])
        for arch in ["amd64", "arm64"] {
            let old = try await yard.image([[file("os", "\(arch) 1")]], arch: arch)
            olds.append((old, arch))
            news.append((try await yard.image([[file("os", "\(arch) 2")]], arch: arch), arch))
            owns.append((try await yard.image([[file("app", arch)]], over: old, arch: arch), arch))
        }
        let rebase = ImageRebase(store: yard.shop.store)
        let image = try await index(owns, attestation: true)
        let moved = try await rebase.rebase(image, onto: try await index(news), name: nil, oldBase: try await index(olds))
        #expect(moved.mediaType == MediaType.ociIndex)
        let result = try OCIJSON.decode(Index.self, from: try await yard.shop.store.read(moved.digest))
        #expect(result.manifests.map { $0.platform?.architecture } == ["amd64", "arm64"])
        for (arch, base) in news.map({ ($1, $0) }) {
            let platform = Platform(architecture: arch, os: "linux")
            let loaded = try await yard.shop.store.load(moved.digest, platform: platform)
            #expect(loaded.config.architecture == arch)
            #expect(loaded.manifest.annotations?["org.opencontainers.image.base.digest"] == base.description)
            #expect(loaded.manifest.layers.first == (try await yard.shop.store.load(base, platform: platform)).manifest.layers.first)
        }
    }
}
