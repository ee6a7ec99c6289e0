import GitRepository
import Testing

@Suite struct ReadTests {
    @Test func resolvesBranchesTagsAndIds() async throws {
        let box = try Sandbox(commits: ["one", "two"])
        try box.git("tag", "-a", "v1", "-m", "release", "HEAD~1")
        _ = try await box.fetch()
        let (head, old) = try (box.head(), box.head("HEAD~1"))
        let mirror = box.mirror
        for name in ["HEAD", "main", "refs/heads/main", "heads/main", head.hex, head.hex.uppercased(), String(head.hex.prefix(8))] {
            #expect(try await mirror.resolve(name) == head, "\(name)")
        }
        let tagObject = try box.git("rev-parse", "v1")
        for name in ["v1", "refs/tags/v1", tagObject] { #expect(try await mirror.resolve(name) == old, "\(name)") }
        let tree = try box.git("rev-parse", "HEAD^{tree}")
        for name in ["nothing", "refs/heads/nothing", "a b", "..", "@{-1}", ":/change", "HEAD~1", String(repeating: "0", count: 40), "0000", tree] {
            let error = try await box.failure { _ = try await mirror.resolve(name) }
            #expect(error.code == .notFound, "\(name): \(error)")
        }
        for name in ["", "a\0b"] {
            let error = try await box.failure { _ = try await mirror.resolve(name) }
            #expect(error.code == .invalid)
        }
    }

    @Test func readsCommits() async throws {
        let box = try Sandbox(commits: ["one"])
        let first = try box.head()
        let second = try box.commit(["b.txt": "b"], message: "Add b\n\nBecause ünïcode.")
        _ = try await box.fetch()
        let info = try await box.mirror.commit(second)
        #expect(info.id == second && info.parents == [first] && info.summary == "Add b" && info.message == "Add b\n\nBecause ünïcode.\n")
        #expect(info.authorName == "Ada" && info.authorEmail == "ada@example.org" && info.authorTime == 1_700_000_000)
        #expect(info.committerTime == 1_700_000_100)
        #expect(try info.tree == box.git("rev-parse", "HEAD^{tree}"))
        #expect(try await box.mirror.log(from: second, limit: 10).map(\.id) == [second, first])
        #expect(try await box.mirror.log(from: second, limit: 1).map(\.id) == [second])
        #expect(try await box.mirror.log(from: second, excluding: first, limit: 10).map(\.id) == [second])
        let unknown = try CommitID(parsing: String(repeating: "1", count: 40))
        #expect(try await box.failure { _ = try await box.mirror.commit(unknown) }.code == .notFound)
        #expect(try await box.failure { _ = try await box.mirror.log(from: unknown, limit: 1) }.code == .notFound)
    }

    @Test func readsFilesAndFolders() async throws {
        let box = try Sandbox(commits: [])
        let id = try box.commit(["pipelines/ci.yaml": "when: []\n", "run.sh": "#!/bin/sh\n", "big": String(repeating: "x", count: 1000)])
        _ = try await box.fetch()
        let mirror = box.mirror
        #expect(try await mirror.readFile("pipelines/ci.yaml", at: id, limit: 100) == Array("when: []\n".utf8))
        for path in ["missing", "pipelines", "", "/", "../a", "pipelines/ci.yaml/x", "a\0b"] {
            #expect(try await mirror.readFile(path, at: id, limit: 100) == nil, "\(path)")
        }
        #expect(try await box.failure { _ = try await mirror.readFile("big", at: id, limit: 999) }.code == .tooLarge)
        #expect(try await mirror.readFile("big", at: id, limit: 1000)?.count == 1000)
        #expect(try await mirror.list("", at: id).map(\.name) == ["big", "pipelines", "run.sh"])
        #expect(try await mirror.list("/pipelines/", at: id).map(\.name) == ["ci.yaml"])
        #expect(try await mirror.list("pipelines", at: id).first?.kind == .file)
        for folder in ["nothing", "big", "pipelines/ci.yaml"] { #expect(try await mirror.list(folder, at: id) == []) }
    }

    @Test func namesChangedPaths() async throws {
        let box = try Sandbox(commits: [])
        let first = try box.commit(["a": "1", "dir/b": "1", "c": "1"])
        try box.git("mv", "c", "moved")
        try box.git("update-index", "--chmod=+x", "a")
        try box.git("config", "core.fileMode", "false")
        let second = try box.commit(["dir/b": "2", "dir/new": "1"])
        _ = try await box.fetch()
        #expect(try await box.mirror.changedPaths(from: first, to: second) == ["a", "c", "dir/b", "dir/new", "moved"])
        #expect(try await box.mirror.changedPaths(from: nil, to: first) == ["a", "c", "dir/b"])
        #expect(try await box.mirror.changedPaths(from: first, to: first) == [])
    }
}

@Suite struct IdentityTests {
    @Test func contentIsNamedWhereverItLies() async throws {
        let box = try Sandbox(commits: ["one"])
        let first = try box.commit(["src/a": "1", "src/b/c": "2", "other/a": "1", "other/b/c": "2", "x": "1"], message: "files")
        let second = try box.commit(["x": "changed"], message: "x only")
        let third = try box.commit(["src/b/c": "3"], message: "src")
        _ = try await box.fetch()
        let mirror = box.mirror
        let source = try await mirror.identity(of: "src", at: first)
        #expect(try source == "git tree \(box.git("rev-parse", "\(first.hex):src"))")
        for path in ["src/", "./src", "other"] { #expect(try await mirror.identity(of: path, at: second) == source) }
        #expect(try await mirror.identity(of: "src", at: third) != source)
        #expect(try await mirror.identity(of: ".", at: first) != mirror.identity(of: "", at: second))
        #expect(try await mirror.identity(of: "src/b/c", at: first) == "git blob \(box.git("rev-parse", "\(first.hex):src/b/c"))")
        for path in ["none", "src/none", "src/a/b", "../src"] { #expect(try await mirror.identity(of: path, at: first) == nil) }
    }

    @Test func executablesAndLinksAreToldApart() async throws {
        let box = try Sandbox(commits: ["one"])
        let plain = try box.commit(["run": "#!/bin/sh"], message: "plain")
        try box.git("update-index", "--chmod=+x", "run")
        try box.git("commit", "-q", "-m", "executable")
        let executable = try box.head()
        let target = try box.git("hash-object", "-w", "run")
        try box.git("update-index", "--add", "--cacheinfo", "120000,\(target),link")
        try box.git("commit", "-q", "-m", "link")
        let linked = try box.head()
        _ = try await box.fetch()
        let ids = [try await box.mirror.identity(of: "run", at: plain), try await box.mirror.identity(of: "run", at: executable)]
        #expect(ids[0] != nil && ids[1] != nil && ids[0] != ids[1])
        #expect(try await box.mirror.identity(of: "link", at: linked) == nil)
    }
}
