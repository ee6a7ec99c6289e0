import Foundation
import ImageBuilder
import ImageStore
import OCIModel
import SystemPackage
import TarArchive
import Testing

/// A store and a context in a temporary folder, removed by `remove()` when the test ends.
final class Workshop: Sendable {
    let path: FilePath
    let store: ImageStore
    var context: FilePath { path.appending("context") }
    let repository: RepositoryName

    init() throws {
        path = FilePath(FileManager.default.temporaryDirectory.path).appending("slipway-build-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: path.appending("context").string, withIntermediateDirectories: true)
        store = try ImageStore(root: path.appending("data"))
        repository = try RepositoryName(parsing: "shop/gtin")
    }

    func remove() { try? FileManager.default.removeItem(atPath: path.string) }

    func write(_ name: String, _ text: String, mode: Int = 0o644) throws -> FilePath {
        let file = context.pushing(FilePath(name))
        try FileManager.default.createDirectory(atPath: file.removingLastComponent().string, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: file.string))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.string)
        return file
    }

    func request(_ copies: [BuildRequest.Copy], base: Digest? = nil, change: (inout BuildRequest) -> Void = { _ in }) -> BuildRequest {
        var request = BuildRequest(
            base: base, copies: copies, context: context, timestamp: 1_700_000_000,
            platform: Platform(architecture: "amd64", os: "linux"))
        change(&request)
        return request
    }

    func name(_ manifest: Digest, _ tag: String) async throws {
        try await store.record(manifest: manifest, mediaType: MediaType.ociManifest, in: repository)
        try await store.tag(Tag(parsing: tag), as: manifest, in: repository)
    }

    /// A base as Debian makes them: merged /usr, a sticky /tmp, a config with everything.
    func base() async throws -> Digest {
        let root = path.appending("root-\(UUID().uuidString)")
        let script = """
            mkdir -p "$1"/usr/bin "$1"/etc "$1"/tmp && chmod 1777 "$1"/tmp && ln -s usr/bin "$1"/bin
            echo old > "$1"/usr/bin/tool && ln "$1"/usr/bin/tool "$1"/usr/bin/same && echo root:x:0:0::/: > "$1"/etc/passwd
            """
        try run("sh", "-c", script, "sh", root.string)
        let imported = try await ImageArchive.importArchive(root, into: store, repository: repository, tag: Tag(parsing: "root"))
        let loaded = try await store.load(imported)
        var config = loaded.config
        config.config = ExecutionConfig(
            user: "7", env: ["PATH=/bin", "A=1"], entrypoint: ["/bin/tool"], cmd: ["serve"], workingDir: "/srv", labels: ["a": "1"])
        let bytes = try OCIJSON.encode(config)
        var manifest = loaded.manifest
        manifest.mediaType = MediaType.dockerManifest
        manifest.config = Descriptor(mediaType: MediaType.dockerConfig, digest: try await store.write(bytes), size: Int64(bytes.count))
        manifest.layers[0].mediaType = MediaType.dockerLayerGzip
        return try await store.write(try OCIJSON.encode(manifest))
    }
}

/// Runs a real program and returns what it printed; a program that is missing or fails fails the test.
@discardableResult
func run(_ arguments: String...) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: data, as: UTF8.self)
    try #require(process.terminationStatus == 0, "\(arguments) failed (is the package installed?): \(text)")
    return text
}

@Suite struct BuildTests {
    @Test func sameDigestEveryTime() async throws {
        var found: Set<Digest> = []
        for (threads, mask) in [(1, 0o600), (2, 0o664), (8, 0o644)] {
            let shop = try Workshop()
            defer { shop.remove() }
            _ = try shop.write("app/readme", "hello", mode: mask)
            let tool = try shop.write("app/tool", "#!/bin/sh", mode: 0o755)
            let built = try await ImageBuilder(store: shop.store, threads: threads).build(
                shop.request([.init(source: tool.removingLastComponent(), destination: "/app")]) { $0.entrypoint = ["/app/tool"] })
            #expect(built.blobsWritten == 3)
            found.insert(built.manifest.digest)
        }
        #expect(found.map(\.hex) == ["d77de8d8e5480ede26bcec03418cb35609cffe8587d069e534496d1a9ad7ee4a"])
    }

    @Test func theSameBuildWritesNothing() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let file = try shop.write("x", "1")
        let builder = ImageBuilder(store: shop.store)
        let request = shop.request([.init(source: file, destination: "/x")])
        let first = try await builder.build(request)
        let second = try await builder.build(request)
        #expect(first.manifest == second.manifest)
        #expect(second.blobsWritten == 0)
    }

    @Test func mergesTheBase() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let base = try await shop.base()
        let tool = try shop.write("dist/tool", "new", mode: 0o755)
        let built = try await ImageBuilder(store: shop.store).build(
            shop.request([.init(source: tool, destination: "/bin/"), .init(source: tool, destination: "/tmp/t")], base: base) {
                $0.entrypoint = ["/bin/tool", "-v"]
                $0.environment = ["A": "2", "B": "3"]
                $0.ports = ["80"]
                $0.labels = ["b": "2"]
            })
        let loaded = try await shop.store.load(built.manifest.digest)
        let config = try #require(loaded.config.config)
        #expect(config.env == ["PATH=/bin", "A=2", "B=3"])
        #expect(config.entrypoint == ["/bin/tool", "-v"])
        #expect(config.cmd == nil)
        #expect(config.user == "7" && config.workingDir == "/srv")
        #expect(config.labels == ["a": "1", "b": "2"])
        #expect(config.exposedPorts?.keys.sorted() == ["80/tcp"])
        #expect(loaded.config.created == "2023-11-14T22:13:20Z")
        #expect(loaded.manifest.layers.allSatisfy { $0.mediaType == MediaType.ociLayerGzip })
        #expect(loaded.manifest.annotations?["org.opencontainers.image.base.digest"] == base.description)
        // A layer per copy. /bin is a link in the base: the file goes where it points, and /tmp stays sticky.
        #expect(built.layers.count == 3)
        let first = try run("tar", "-tvf", shop.store.path(of: built.layers[1].digest).string)
        #expect(first.contains(" usr/bin/tool\n") && !first.contains(" bin/"))
        let second = try run("tar", "-tvf", shop.store.path(of: built.layers[2].digest).string)
        #expect(second.contains("drwxrwxrwt") && second.contains(" tmp/t\n"))
        #expect(loaded.config.history?.suffix(2).map(\.createdBy) == ["slipway: copy dist/tool to /bin/", "slipway: copy dist/tool to /tmp/t"])
    }

    @Test func sourcesStayInTheContext() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let builder = ImageBuilder(store: shop.store)
        let link = shop.context.appending("link")
        try FileManager.default.createSymbolicLink(atPath: link.string, withDestinationPath: "/etc")
        for source in [link, FilePath("/etc/passwd"), shop.context.appending("..")] {
            await #expect(throws: ImageBuilderError.self) {
                try await builder.build(shop.request([.init(source: source, destination: "/x")]))
            }
        }
        await #expect(throws: ImageBuilderError.self) {
            try await builder.build(shop.request([.init(source: shop.context.appending("none"), destination: "/x")]))
        }
    }
}

@Suite struct PeerTests {
    @Test func skopeoAndUmociAccept() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let base = try await shop.base()
        let tool = try shop.write("dist/grüße", "new", mode: 0o755)
        let built = try await ImageBuilder(store: shop.store).build(
            shop.request([.init(source: tool, destination: "/bin/tool")], base: base))
        try await shop.name(built.manifest.digest, "1")
        let reference = try ImageReference(parsing: "shop/gtin:1")
        let layout = shop.path.appending("layout")
        try await ImageArchive.export(built.manifest.digest, reference: reference, from: shop.store, to: layout, format: .ociLayout)
        #expect(try run("skopeo", "inspect", "--format", "{{.Digest}}", "oci:\(layout):1") == "\(built.manifest.digest)\n")
        try run("skopeo", "copy", "-q", "--insecure-policy", "oci:\(layout):1", "dir:\(shop.path)/copied")
        try run("umoci", "unpack", "--image", "\(layout):1", "\(shop.path)/bundle")
        #expect(try run("cat", "\(shop.path)/bundle/rootfs/usr/bin/tool") == "new")
        let archive = shop.path.appending("image.tar")
        try await ImageArchive.export(built.manifest.digest, reference: reference, from: shop.store, to: archive, format: .ociArchive)
        #expect(try run("skopeo", "inspect", "--format", "{{.Digest}}", "oci-archive:\(archive)") == "\(built.manifest.digest)\n")
        let docker = shop.path.appending("docker.tar")
        try await ImageArchive.export(built.manifest.digest, reference: reference, from: shop.store, to: docker, format: .dockerArchive)
        try run("skopeo", "copy", "-q", "--insecure-policy", "docker-archive:\(docker)", "dir:\(shop.path)/from-docker")

        // And back again, into an empty store.
        let other = try ImageStore(root: shop.path.appending("other"))
        let tag = try Tag(parsing: "back")
        for path in [layout, archive] {
            let digest = try await ImageArchive.importArchive(path, into: other, repository: shop.repository, tag: tag)
            #expect(digest == built.manifest.digest)
            #expect(try await other.resolve(tag, in: shop.repository) == digest)
        }
        let fromDocker = try await ImageArchive.importArchive(docker, into: other, repository: shop.repository, tag: tag)
        #expect(try await other.load(fromDocker).manifest.config.digest == built.config)
        try run("skopeo", "copy", "-q", "--insecure-policy", "oci:\(layout):1", "docker-archive:\(shop.path)/theirs.tar:shop/gtin:1")
        let theirs = try await ImageArchive.importArchive(
            shop.path.appending("theirs.tar"), into: other, repository: shop.repository, tag: tag)
        #expect(try await other.load(theirs).config.rootfs == shop.store.load(built.manifest.digest).config.rootfs)
    }

    @Test func snapshotsUnpackOnceForManyCallers() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let base = try await shop.base()
        let file = try shop.write("x", "1")
        let built = try await ImageBuilder(store: shop.store).build(shop.request([.init(source: file, destination: "/bin/x")], base: base))
        let root = shop.path.appending("snapshots")
        let results = try await withThrowingTaskGroup(of: [FilePath].self) { group in
            for _ in 0..<12 {
                // Each has its own value, as another process would.
                group.addTask { try await Snapshots(root: root, store: shop.store).prepare(built.manifest.digest).layers }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(results).count == 1 && results.count == 12)
        let layers = try #require(results.first)
        #expect(layers.count == 2)
        #expect(try run("cat", layers[1].string + "/usr/bin/x") == "1")
        #expect(try run("readlink", layers[0].string + "/bin") == "usr/bin\n")
        #expect(try run("stat", "-c", "%h", layers[0].string + "/usr/bin/tool") == "2\n")
        #expect(try run("stat", "-c", "%a", root.string) == "700\n")
    }

    @Test func rootArchiveIsImported() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        _ = try shop.write("etc/hostname", "box")
        let tar = shop.path.appending("root.tar.gz")
        try run("tar", "-C", shop.context.string, "-czf", tar.string, ".")
        let digest = try await ImageArchive.importArchive(tar, into: shop.store, repository: shop.repository, tag: Tag(parsing: "r"))
        let unpacked = try await Snapshots(root: shop.path.appending("snapshots"), store: shop.store).prepare(digest)
        #expect(unpacked.config.config?.cmd == ["/bin/sh"])
        #expect(try run("cat", unpacked.layers[0].string + "/etc/hostname") == "box")
    }

    @Test func damagedLayoutIsRefused() async throws {
        let shop = try Workshop()
        defer { shop.remove() }
        let file = try shop.write("x", "1")
        let built = try await ImageBuilder(store: shop.store).build(shop.request([.init(source: file, destination: "/x")]))
        let layout = shop.path.appending("layout")
        try await ImageArchive.export(
            built.manifest.digest, reference: ImageReference(parsing: "a:1"), from: shop.store, to: layout, format: .ociLayout)
        try Data("rubbish".utf8).write(to: URL(fileURLWithPath: "\(layout)/blobs/sha256/\(built.layers[0].digest.hex)"))
        let other = try ImageStore(root: shop.path.appending("other"))
        await #expect(throws: ImageStoreError.self) {
            try await ImageArchive.importArchive(layout, into: other, repository: shop.repository, tag: Tag(parsing: "x"))
        }
    }
}
