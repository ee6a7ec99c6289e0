import Foundation
import Testing

extension EndToEnd {
    /// A base of some files, imported under a name.
    private func base(_ name: String, _ files: [String: String], in folder: URL) async throws {
        let root = folder.appendingPathComponent("root-\(UUID().uuidString)")
        for (path, text) in files {
            let file = root.appendingPathComponent(path)
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        _ = try await image(["import", root.path, name], in: folder)
    }

    private func image(_ arguments: [String], in folder: URL, status: Int32 = 0) async throws -> Outcome {
        let outcome = try await command(
            ServerFixture.binary, ["image"] + arguments + ["--data", folder.appendingPathComponent("data").path])
        #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
        return outcome
    }

    @Test("image rebase moves an image onto a new base and pushes it, and names the path when it must not")
    func rebaseCommand() async throws {
        try await withFolder { folder in
            let registry = try DockerRegistry(folder.appendingPathComponent("registry"))
            try await registry.start()
            try await base("library/base:1", ["etc/issue": "one", "etc/app.conf": "1"], in: folder)
            try await base("library/base:2", ["etc/issue": "two", "etc/app.conf": "1"], in: folder)
            try await base("library/base:3", ["etc/issue": "two", "etc/app.conf": "3"], in: folder)
            let conf = folder.appendingPathComponent("app.conf")
            try Data("mine".utf8).write(to: conf)
            let name = "\(registry.host)/shop/app:1"
            _ = try await image(["build", "--base", "library/base:1", "--copy", "\(conf.path):/etc/app.conf", "--to", name], in: folder)
            let before = try await registry.digest("shop/app", "1")

            let moved = try await image(["rebase", name, "--onto", "library/base:2"], in: folder)
            let digest = try #require(moved.output.split(separator: "\n").last.map(String.init))
            #expect(digest.hasPrefix("sha256:") && digest != before)
            #expect(try await registry.digest("shop/app", "1") == digest)
            let inspected = try await image(["inspect", name, "--json"], in: folder)
            #expect(inspected.output.contains("library/base:2"))

            let refused = try await image(["rebase", name, "--onto", "library/base:3"], in: folder, status: 1)
            #expect(refused.errors.contains("/etc/app.conf: the image replaces it, and it changed in the new base"), "\(refused.errors)")
            #expect(try await registry.digest("shop/app", "1") == digest, "a refusal moves nothing")
        }
    }

    @Test("A layer above a limit is refused naming the setting, which raises it")
    func limitSetting() async throws {
        try await withFolder { folder in
            let root = folder.appendingPathComponent("files.tar")
            let zeros = folder.appendingPathComponent("zeros")
            try Data(repeating: 0, count: 100_000).write(to: zeros)
            let packed = try await command("/usr/bin/tar", ["-C", folder.path, "-cf", root.path, "zeros"])
            #expect(packed.status == 0)
            let arguments = ["image", "import", root.path, "a/b:1", "--data", folder.appendingPathComponent("data").path]
            let limited = try await command(ServerFixture.binary, arguments, environment: ["SLIPWAY_LAYERS_MAX_BYTES": "50000"])
            #expect(limited.status == 1 && limited.errors.contains("layers.max_bytes") && limited.errors.contains("SLIPWAY_LAYERS_MAX_BYTES"))
            let wrong = try await command(ServerFixture.binary, arguments, environment: ["SLIPWAY_LAYERS_MAX_BYTES": "many"])
            #expect(wrong.status == 2)
            let raised = try await command(ServerFixture.binary, arguments, environment: ["SLIPWAY_LAYERS_MAX_BYTES": "500000"])
            #expect(raised.status == 0, "\(raised.errors)")
        }
    }
}
