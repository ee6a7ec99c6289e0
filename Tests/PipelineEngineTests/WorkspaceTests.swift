import Foundation
import SystemPackage
import Testing

@testable import PipelineEngine

/// What steps left, batch by batch. Mounting needs root, and a temporary folder that is not on overlayfs.
@Suite struct WorkspaceTests {
    private func with(_ body: (FilePath) async throws -> Void) async throws {
        try #require(geteuid() == 0, "overlayfs needs root: run the tests as root")
        let folder = FilePath(NSTemporaryDirectory()).appending("slipway-workspace-\(UUID().uuidString)")
        do { try await body(folder) } catch { Issue.record("\(error)") }
        for run in try FileSystem.names(in: folder) {
            let files = RunWorkspace(folder: folder.appending(run))
            try await files.remove()
            #expect(files.isGone)
        }
        try FileSystem.remove(folder)
        #expect(!FileSystem.exists(folder))
    }

    /// A workspace as the checkout leaves it.
    private func checkout(_ folder: FilePath, _ run: String) throws -> RunWorkspace {
        let files = RunWorkspace(folder: folder.appending(run))
        try FileSystem.makeFolder(files.tree.appending("src"))
        try write("main", to: "src/main", files)
        return files
    }

    private func write(_ text: String, to path: String, _ files: RunWorkspace) throws {
        let file = files.tree.pushing(FilePath(path))
        try FileSystem.makeFolder(file.removingLastComponent())
        try Data(text.utf8).write(to: URL(filePath: file.string))
    }

    private func text(_ path: String, _ files: RunWorkspace) -> String? {
        try? String(contentsOfFile: files.tree.pushing(FilePath(path)).string, encoding: .utf8)
    }

    @Test func aBatchThatIsCompleteIsKeptAsItIs() async throws {
        try await with { folder in
            let files = try checkout(folder, "1")
            try write("a", to: "out/a", files)
            try await files.close(batch: ["a"])
            // A folder of a layer below is renamed, a file of it changed, another one removed.
            #expect(rename(files.tree.appending("out").string, files.tree.appending("moved").string) == 0)
            try write("main of b", to: "src/main", files)
            try await files.close(batch: ["b"])
            try FileSystem.remove(files.tree.appending("moved"))
            try write("c", to: "c", files)
            try await files.rest()

            let again = RunWorkspace(folder: folder.appending("2"))
            #expect(try files.known(among: ["a", "b", "d"], started: ["a", "b", "c"]) == [["a"], ["b"]])
            try await again.begin(with: [["a"], ["b"]], of: files)
            try await again.open()
            #expect(text("moved/a", again) == "a" && text("src/main", again) == "main of b" && text("c", again) == nil)
            #expect(text("out/a", again) == nil)
            // What the new run writes is its own, also after the old one is gone.
            try write("changed", to: "moved/a", again)
            let third = RunWorkspace(folder: folder.appending("3"))
            try await third.begin(with: [["a"]], of: files)
            try await third.open()
            #expect(text("out/a", third) == "a" && text("src/main", third) == "main")
            try await files.remove()
            try await again.rest()
            try await again.open()
            #expect(text("moved/a", again) == "changed")
            #expect(try again.known(among: ["a", "b"], started: ["a", "b"]) == [["a"], ["b"]])
        }
    }

    @Test func onlyBatchesWithNothingElseAreKnown() async throws {
        try await with { folder in
            let files = try checkout(folder, "1")
            #expect(try files.known(among: ["a"], started: ["a"]) == [["a"]])
            #expect(try files.known(among: ["a"], started: ["a", "b"]).isEmpty)
            try await files.close(batch: ["a", "b"])
            #expect(try files.known(among: ["a"], started: ["a", "b", "c"]).isEmpty)
            #expect(try files.known(among: ["a", "b"], started: ["a", "b", "c", "d"]) == [["a", "b"]])
            #expect(try files.known(among: ["a", "b", "c", "d"], started: ["a", "b", "c", "d"]) == [["a", "b"], ["c", "d"]])
        }
    }

    @Test func closingIsRepeatedWhereverItWasCutOff() async throws {
        try await with { folder in
            let files = try checkout(folder, "1")
            let layers = folder.appending("1").appending("layers")
            // After the batch was recorded, before anything was moved.
            try FileSystem.makeFolder(layers.appending("0"))
            try FileSystem.replace(layers.appending("0").appending("steps.json"), with: Data(#"["a"]"#.utf8))
            try await files.open()
            #expect(text("src/main", files) == "main" && FileSystem.exists(layers.pushing("1/work")))
            // After the second batch was recorded, while the layer below is still the one that is written to.
            try write("b", to: "b", files)
            try FileSystem.replace(layers.appending("1").appending("steps.json"), with: Data(#"["b"]"#.utf8))
            try await files.open()
            try write("c", to: "c", files)
            #expect(!FileSystem.exists(layers.pushing("1/upper/c")) && FileSystem.exists(layers.pushing("2/upper/c")))
            // After the machine went down.
            try await files.rest()
            #expect(text("b", files) == nil)
            try await files.open()
            #expect(text("b", files) == "b" && text("c", files) == "c")
            // Open already.
            try await files.open()
            #expect(text("c", files) == "c")
        }
    }

    @Test func closingIsRepeatedWhenItFailed() async throws {
        try await with { folder in
            let files = try checkout(folder, "1")
            let blocked = folder.pushing("1/layers/1")
            // No layer can be made there, as on a full disk.
            try FileSystem.makeFolder(blocked.removingLastComponent())
            try write("in the way", to: "../layers/1", files)
            await #expect(throws: (any Error).self) { try await files.close(batch: ["a"]) }
            try FileSystem.remove(blocked)
            try await files.close(batch: ["a"])
            #expect(try files.batches() == [["a"]])
            #expect(text("src/main", files) == "main")
        }
    }
}
