import ContainerRuntime
import ContainerfileBuild
import Foundation
import Glibc
import ImageStore
import OCIModel
import SystemPackage
import Testing

/// Every Containerfile of the corpus, built by us; those buildah can build are built by it, too, and must be the same.
///
/// buildah needs seconds for each, so that usually every eighth is compared; `make corpus` (SLIPWAY_CORPUS=all) compares all.
@Suite(.serialized) struct CorpusTests {
    static let baseName = "localhost/slipway-test/busybox:1"
    static let isComplete = ProcessInfo.processInfo.environment["SLIPWAY_CORPUS"] == "all"

    @Test func asDescribedOrAsBuildah() async throws {
        let all = CorpusCase.all
        #expect(all.count >= 60)
        guard access("/usr/bin/buildah", X_OK) == 0 else {
            Issue.record("buildah is missing: apt-get install buildah")
            return
        }
        try await Yard.with { yard async throws in
            let base = yard.folder.appending("base")
            try await yard.exportBase(to: base)
            let name = try RepositoryName(parsing: "slipway-test/busybox")
            let image = try await ImageArchive.importArchive(base, into: yard.store, repository: name, tag: Tag(parsing: "1"))
            #expect(try yard.store.size(of: image) != nil)
            let buildah = try Buildah(folder: yard.folder.appending("buildah"), base: base, name: Self.baseName)
            defer { buildah.close() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, item) in all.enumerated() {
                    if index >= 2 { try await group.next() }
                    group.addTask {
                        do { try await check(item, index, yard, buildah) } catch { Issue.record("\(item): \(error)") }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    private func check(_ item: CorpusCase, _ index: Int, _ yard: Yard, _ buildah: Buildah) async throws {
        let context = try item.prepare(in: yard.folder.appending("contexts"))
        let image = try await item.build(yard, context: context)
        let config = try await yard.store.load(image.manifest.digest).config.config ?? ExecutionConfig()
        let keys = try JSONDecoder().decode([String: JSONValue].self, from: Data(OCIJSON.encode(config)))
        let id = "look-\(item.name)"
        let unpacked = try await yard.snapshots.prepare(image.manifest.digest)
        let mounted = try await yard.runtime.mountRoot(id, layers: unpacked.layers.map(\.string))
        let result = Result {
            if let expected = try item.expected {
                compare(item, mounted.root, keys, expected)
            }
            if item.buildahLacks == nil, Self.isComplete || index % 8 == 0 {
                try compare(item, try FileTree(mounted.root), keys, buildah, context)
            }
        }
        try await yard.runtime.remove(id)
        try result.get()
    }

    private func compare(
        _ item: CorpusCase, _ root: FilePath, _ config: [String: JSONValue], _ expected: CorpusCase.Expected
    ) {
        for (path, file) in expected.files ?? [:] {
            var status = stat()
            guard lstat("\(root)\(path)", &status) == 0 else {
                Issue.record("\(item): \(path) is missing")
                continue
            }
            let kinds = ["directory": S_IFDIR, "file": S_IFREG, "symlink": S_IFLNK, "fifo": S_IFIFO]
            #expect(kinds[file.type] == status.st_mode & S_IFMT, "\(item): \(path)")
            if let mode = file.mode { #expect(mode == "0" + String(status.st_mode & 0o7777, radix: 8), "\(item): \(path)") }
            if let uid = file.uid { #expect(uid == status.st_uid, "\(item): \(path)") }
            if let gid = file.gid { #expect(gid == status.st_gid, "\(item): \(path)") }
            if let content = file.content {
                let found = try? String(contentsOfFile: "\(root)\(path)", encoding: .utf8)
                #expect(content == found, "\(item): \(path)")
            }
            if let target = file.target {
                let found = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(root)\(path)")
                #expect(target == found, "\(item): \(path)")
            }
        }
        for path in expected.absent ?? [] { #expect(access("\(root)\(path)", F_OK) != 0, "\(item): \(path) is there") }
        if expected.complete == true {
            let paths = (try? FileTree(root).lines.keys).map(Set.init) ?? []
            #expect(paths == Set((expected.files ?? [:]).keys), "\(item)")
        }
        for (key, value) in expected.config ?? [:] {
            #expect(config[key]?.contains(value) == true, "\(item): \(key) is \(config[key]?.description ?? "absent"), not \(value)")
        }
    }

    /// Where buildah 1.28 does not do what the reference says.
    private static let knownDifferences = ["046-variables-escaped Env": "it takes the second dollar of $$A for text"]

    /// Mount points that buildah leaves in the image, empty.
    private static let leftByBuildah: Set = [
        "/dev", "/etc", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/run", "/run/.containerenv", "/run/secrets", "/sys",
    ]

    private func compare(
        _ item: CorpusCase, _ own: FileTree, _ config: [String: JSONValue], _ buildah: Buildah, _ context: FilePath
    ) throws {
        let theirs = try buildah.build(item, context: context)
        var tree = try FileTree(theirs.root)
        for path in Self.leftByBuildah where own.lines[path] == nil { tree.lines[path] = nil }
        for line in own.differences(from: tree) { Issue.record("\(item): \(line)") }
        for key in [
            "Env", "Cmd", "Entrypoint", "User", "WorkingDir", "ExposedPorts", "Volumes", "Labels", "StopSignal", "Healthcheck", "OnBuild", "Shell",
        ] {
            if Self.knownDifferences["\(item) \(key)"] != nil { continue }
            let (mine, other) = (Self.plain(config[key], key), Self.plain(theirs.config[key], key))
            #expect(mine == other, "\(item): \(key)")
        }
    }

    /// Without what both write in their own way: absent and empty, the default folder and shell, buildah's label and
    /// the search path it gives only to images with a base.
    private static func plain(_ value: JSONValue?, _ key: String) -> JSONValue? {
        guard let value, !value.isEmpty else { return nil }
        switch (key, value) {
        case ("WorkingDir", .string("/")): return nil
        case ("Labels", .object(var labels)):
            labels["io.buildah.version"] = nil
            return labels.isEmpty ? nil : .object(labels)
        case ("Env", .list(let lines)):
            let own = lines.filter { $0 != .string("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") }
            return own.isEmpty ? nil : .list(own)
        case ("Healthcheck", .object(let check)): return .object(check.filter { !$0.value.isEmpty && $0.value != .number(0) })
        default: return value
        }
    }
}

extension Yard {
    /// The base image's root file system as a folder.
    func exportBase(to folder: FilePath) async throws {
        guard let found = try await store.resolve(ImageReference(parsing: "busybox")) else { return }
        let layer = try #require(try await store.load(found.digest).manifest.layers.first)
        try shell(
            "mkdir \"$1\" && tar -C \"$1\" --numeric-owner -xpf \"$0\" && chown -R 0:0 \"$1/home\"", store.path(of: layer.digest).string,
            folder.string)
    }
}
