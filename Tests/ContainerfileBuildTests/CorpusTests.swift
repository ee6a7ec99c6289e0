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
/// buildah needs seconds for each, so that usually every eighth is compared; `make corpus` (SLIPWAY_CORPUS=all) compares all,
/// and another value those whose name holds it.
@Suite(.serialized) struct CorpusTests {
    static let baseName = "localhost/slipway-test/busybox:1"
    static let chosen = ProcessInfo.processInfo.environment["SLIPWAY_CORPUS"]

    @Test func asDescribedOrAsBuildah() async throws {
        let every = CorpusCase.all
        #expect(every.count >= 60)
        let all = every.filter { item in Self.chosen.map { $0 == "all" || item.name.contains($0) } ?? true }
        guard access("/usr/bin/buildah", X_OK) == 0 else {
            Issue.record("buildah is missing: apt-get install buildah")
            return
        }
        try await Yard.with { yard async throws in
            let base = yard.folder.appending("base")
            try await yard.makeCorpusBase(in: base)
            let name = try RepositoryName(parsing: "slipway-test/busybox")
            let image = try await ImageArchive.importArchive(base, into: yard.store, repository: name, tag: Tag(parsing: "1"))
            #expect(try yard.store.size(of: image) != nil)
            let buildah = try await Buildah(folder: yard.folder.appending("buildah"), base: base, name: Self.baseName)
            // Nothing throws out of the group.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, item) in all.enumerated() {
                    if index >= 2 { try await group.next() }
                    group.addTask {
                        do { try await check(item, index, yard, buildah) } catch { Issue.record("\(item): \(error)") }
                    }
                }
                try await group.waitForAll()
            }
            await buildah.close()
        }
    }

    private func check(_ item: CorpusCase, _ index: Int, _ yard: Yard, _ buildah: Buildah) async throws {
        let context = try await item.prepare(in: yard.folder.appending("contexts"))
        let image = try await item.build(yard, context: context)
        let config = try await yard.store.load(image.manifest.digest).config.config ?? ExecutionConfig()
        let keys = try JSONDecoder().decode([String: JSONValue].self, from: Data(OCIJSON.encode(config)))
        try await yard.withTree(of: image) { root in
            if let expected = try item.expected {
                compare(item, root, keys, expected)
            }
            if item.buildahLacks == nil, Self.chosen != nil || index % 8 == 0 {
                try await compare(item, try FileTree(root), keys, buildah, context)
            }
        }
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
    private static let knownDifferences = [
        "046-variables-escaped Env": "it takes the second dollar of $$A for text",
        "090-expose-range ExposedPorts": "it leaves a range as it is",
        "096-shell Cmd": "it gives CMD the usual shell, whatever SHELL says",
    ]

    /// Mount points that buildah leaves in the image, empty.
    private static let leftByBuildah: Set = [
        "/dev", "/etc", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/run", "/run/.containerenv", "/run/secrets", "/sys",
    ]

    private func compare(
        _ item: CorpusCase, _ own: FileTree, _ config: [String: JSONValue], _ buildah: Buildah, _ context: FilePath
    ) async throws {
        let theirs = try await buildah.build(item, context: context)
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
            // Names occur once: their order means nothing, and buildah puts a changed one last.
            return own.isEmpty ? nil : .list(own.sorted { $0.description < $1.description })
        case ("Healthcheck", .object(let check)): return .object(check.filter { !$0.value.isEmpty && $0.value != .number(0) })
        default: return value
        }
    }
}

extension Yard {
    /// The root file system the corpus is built on, see its README.
    func makeCorpusBase(in folder: FilePath) async throws {
        try await shell(
            """
            mkdir -p "$0/bin" "$0/etc" "$0/root" "$0/usr" "$0/var" "$0/proc" "$0/sys" "$0/dev" && mkdir -m 1777 "$0/tmp"
            cp /bin/busybox "$0/bin/busybox" && for name in $(/bin/busybox --list); do
              [ "$name" = busybox ] || ln -s busybox "$0/bin/$name"; done
            printf 'root:x:0:0:root:/root:/bin/sh\\napp:x:1000:1000::/home/app:/bin/sh\\n' > "$0/etc/passwd"
            printf 'root:x:0:\\nstaff:x:50:\\napp:x:1000:\\n' > "$0/etc/group"; find "$0" -exec touch -h -d @0 {} +
            """, folder.string)
    }
}
