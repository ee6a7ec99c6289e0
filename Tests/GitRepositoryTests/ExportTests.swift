import Foundation
import GitRepository
import SystemPackage
import Testing

@Suite struct ExportTests {
    private let box: Sandbox

    init() throws { box = try Sandbox() }

    @Test func writesFilesModesLinksAndTimes() async throws {
        let box = try Sandbox(commits: [])
        try box.write("bin/run.sh", "#!/bin/sh\n")
        chmod(box.source.appending("bin/run.sh").string, 0o755)
        symlink("../lib/data", box.source.appending("bin/link").string)
        symlink("missing", box.source.appending("dangling").string)
        let id = try box.commit(["lib/data": "data", "empty": ""])
        _ = try await box.fetch()
        let target = box.root.appending("work/space")
        try await box.mirror.export(id, to: target)

        func info(_ name: String) throws -> stat {
            var status = stat()
            try #require(lstat(target.appending(name).string, &status) == 0, "\(name)")
            return status
        }
        #expect(try info("bin/run.sh").st_mode & 0o7777 == 0o755)
        #expect(try info("lib/data").st_mode & 0o7777 == 0o644)
        #expect(try info("empty").st_size == 0)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: target.appending("bin/link").string) == "../lib/data")
        #expect(try String(contentsOfFile: target.appending("bin/link").string, encoding: .utf8) == "data")
        for name in ["", "bin", "bin/run.sh", "bin/link", "dangling", "lib", "lib/data", "empty"] {
            #expect(try info(name).st_mtim.tv_sec == 1_700_000_100, "\(name)")
        }
        let again = try await box.failure { try await box.mirror.export(id, to: target) }
        #expect(again.code == .fileSystem && again.message.contains("not empty"))
    }

    @Test func refusesLinksThatLeave() async throws {
        for destination in ["/etc/passwd", "..", "../x", "a/../../x", "./..//../x"] {
            try await expectRefusal("120000 blob %\tbad-link", content: destination, naming: "bad-link")
        }
    }

    @Test func refusesLinksThatLeaveThroughAnother() async throws {
        let box = try Sandbox(commits: [])
        try box.write("d/e/file", "x")
        symlink("../..", box.source.appending("d/e/up").string)
        symlink("d/e/up/../secret", box.source.appending("x-link").string)
        let id = try box.commit([:])
        _ = try await box.fetch()
        let error = try await box.failure { try await box.mirror.export(id, to: box.root.appending("out")) }
        #expect(error.code == .refused && error.message.contains("x-link"))
    }

    @Test func refusesLinksInACircle() async throws {
        try await expectRefusal("120000 blob %\tcircle", content: "circle", naming: "circle")
    }

    @Test func refusesNamesThatMeanSomethingElse() async throws {
        let names = [
            ".git", ".GIT", ".Git", "git~1", "GIT~1", ".git.", ".git ", ".git. .", ".git::$INDEX_ALLOCATION", ".g\u{200c}it", "\u{feff}.git",
            "a\\.git\\config", "..", ".",
        ]
        for name in names { try await expectRefusal("100644 blob %\t\(name)", naming: name) }
    }

    @Test func keepsHarmlessNames() async throws {
        let names = [
            "...", ".git-blame-ignore-revs", ".github", ".gitignore", "back\\slash", "git", "with space", "x.git", "ünï\u{1f680}",
        ]
        let id = try box.commitTree(names.map { "100644 blob %\t\($0)" }.joined(separator: "\n"))
        _ = try await box.fetch()
        try await box.mirror.export(id, to: box.root.appending("out"))
        #expect(try Set(FileManager.default.contentsOfDirectory(atPath: box.root.appending("out").string)) == Set(names))
    }

    @Test func refusesSubmodules() async throws {
        let error = try await expectRefusal("160000 commit \(box.head())\tvendor", naming: "vendor")
        #expect(error.message.contains("submodule"))
        let entries = try await box.mirror.list("", at: box.head("evil"))
        #expect(entries.map(\.kind) == [.submodule])
    }

    @Test func refusesALinkThatIsAlsoAFolder() async throws {
        // "x" is a link to the outside for whoever follows it, and a folder that is then written into.
        let tree = try box.git("rev-parse", "HEAD^{tree}")
        let link = try box.git("hash-object", "-w", "--stdin", input: "sub")
        var raw = Data()
        for (mode, id) in [("120000", link), ("40000", tree)] {
            raw += Data("\(mode) x\0".utf8)
            raw += Data(stride(from: 0, to: 40, by: 2).compactMap { UInt8(id.dropFirst($0).prefix(2), radix: 16) })
        }
        let evil = try box.git(["hash-object", "-t", "tree", "-w", "--stdin", "--literally"], input: raw)
        let id = try CommitID(parsing: box.git("commit-tree", evil, "-m", "twice"))
        try box.git("update-ref", "refs/heads/evil", id.hex)
        _ = try await box.fetch()
        let error = try await box.failure { try await box.mirror.export(id, to: box.root.appending("out")) }
        #expect(error.code == .refused && error.message.contains("'x'"))
    }

    @Test func keepsToItsLimits() async throws {
        let box = try Sandbox(commits: [])
        let id = try box.commit(["a": "12345", "b": "12345", "c/d": "1"])
        _ = try await box.fetch()
        for limits in [ExportLimits(fileBytes: 4), ExportLimits(totalBytes: 10), ExportLimits(entries: 3)] {
            let out = box.root.appending("out")
            let error = try await box.failure { try await box.mirror.export(id, to: out, limits: limits) }
            #expect(error.code == .tooLarge)
            #expect(!FileManager.default.fileExists(atPath: out.string))
        }
        try await box.mirror.export(id, to: box.root.appending("out"), limits: ExportLimits(fileBytes: 5, totalBytes: 11, entries: 4))
    }

    /// Nothing may be written when a commit is refused.
    @discardableResult
    private func expectRefusal(_ tree: String, content: String = "content", naming name: String) async throws -> GitError {
        let id = try box.commitTree(tree, content: content)
        _ = try await box.fetch()
        let out = box.root.appending("out")
        let error = try await box.failure { try await box.mirror.export(id, to: out) }
        #expect(error.code == .refused && error.message.contains(name), "\(error)")
        #expect(!FileManager.default.fileExists(atPath: out.string))
        return error
    }
}
