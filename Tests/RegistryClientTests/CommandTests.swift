import Foundation
import ImageStore
import OCIModel
import SystemPackage
import Testing

/// `slipway image copy` and the settings of registries, with the real binary.
struct CommandTests {
    static var binary: String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        return [Bundle.main.bundlePath + "/slipway", root + "/.build/debug/slipway"]
            .first { FileManager.default.isExecutableFile(atPath: $0) } ?? "slipway"
    }

    private func slipway(_ arguments: [String], config: String? = nil, in folder: URL) async throws -> (status: Int32, output: String, errors: String)
    {
        guard FileManager.default.isExecutableFile(atPath: Self.binary) else {
            throw MissingPart(description: "\(Self.binary) is missing: swift build --product slipway")
        }
        let (output, errors) = (folder.appendingPathComponent("output"), folder.appendingPathComponent("errors"))
        for file in [output, errors] { try Data().write(to: file) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.binary)
        process.arguments = arguments
        process.environment = ["PATH": "/usr/bin:/bin", "HOME": folder.path].merging(config.map { ["SLIPWAY_CONFIG": $0] } ?? [:]) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        return (status, try String(contentsOf: output, encoding: .utf8), try String(contentsOf: errors, encoding: .utf8))
    }

    @Test func copiesAndSaysWhatItDid() async throws {
        try await withFolder { folder in
            let from = try ImageStore(root: FilePath(folder.path + "/from"))
            let to = try ImageStore(root: FilePath(folder.path + "/to"))
            let name = try repository("shop/app")
            let image = try await from.makeImage(41, layers: [200_000])
            try await from.record(manifest: image, mediaType: MediaType.ociManifest, in: name)
            try await from.tag(tag("v1"), as: image, in: name)
            try await withOurRegistry(from) { fromPort in
                try await withOurRegistry(to) { toPort in
                    let source = "127.0.0.1:\(fromPort)/shop/app:v1"
                    let done = try await slipway(["image", "copy", source, "127.0.0.1:\(toPort)/copy/app", "--json", "--referrers"], in: folder)
                    #expect(done.status == 0, "\(done.errors)")
                    let value = try JSONDecoder().decode(Copied.self, from: Data(done.output.utf8))
                    #expect(value.digest == image && value.blobsSent == 2 && value.reference.hasSuffix("/copy/app:v1"))
                    let again = try await slipway(["image", "copy", source, "127.0.0.1:\(toPort)/copy/app:v1"], in: folder)
                    #expect(again.status == 0 && again.output.contains("\(image)") && again.errors.contains("it was there already"))
                    let closed = try await slipway(["image", "copy", source, "127.0.0.1:1/copy/app"], in: folder)
                    #expect(closed.status == 4 && closed.errors.contains("127.0.0.1:1/copy/app"))
                }
            }
            #expect(try await to.resolve(tag("v1"), in: repository("copy/app")) == image)
            for wrong in [
                ["shop/app", "127.0.0.1:1/a"], ["127.0.0.1:1/a", "127.0.0.1:1/b", "--all", "--platform", "linux/arm64"],
                ["127.0.0.1:1/a", "127.0.0.1:1/b", "--platform", "linux"],
            ] {
                let refused = try await slipway(["image", "copy"] + wrong, in: folder)
                #expect(refused.status == 2, "\(wrong)")
            }
        }
    }

    private struct Copied: Decodable {
        let reference: String
        let digest: Digest
        let blobsSent: Int
    }

    @Test(arguments: [
        ("a.example.com: {plain_htp: true}", ":1:", "plain_http"), ("a.example.com: {plain_http: 7}", ":1:", "true or false"),
        ("a.example.com: {chunk_size: 1 elephant}", ":1:", "32MiB"), ("a.example.com: {mirrors: {}}", ":1:", "mirror.example.com"),
        ("a.example.com: 5", ":1:", "KEY: VALUE"), ("a.example.com: {", "slipway.yaml", "server.md"),
    ])
    func wrongSettingsNameTheirPlace(_ text: String, _ place: String, _ hint: String) async throws {
        try await withFolder { folder in
            let config = folder.appendingPathComponent("slipway.yaml")
            try "registries: {hosts: {\(text)}}".write(to: config, atomically: true, encoding: .utf8)
            let refused = try await slipway(["image", "copy", "127.0.0.1:1/a:1", "127.0.0.1:1/b:1"], config: config.path, in: folder)
            #expect(refused.status == 2 && refused.errors.contains(config.path) && refused.errors.contains(place), "\(refused.errors)")
            #expect(refused.errors.contains(hint), "\(refused.errors)")
        }
    }

    @Test func missingCertificatesAreNamed() async throws {
        try await withFolder { folder in
            let config = folder.appendingPathComponent("slipway.yaml")
            try "registries: {hosts: {\"127.0.0.1:1\": {plain_http: false, certificate_authority: none.pem}}}"
                .write(to: config, atomically: true, encoding: .utf8)
            let refused = try await slipway(["image", "copy", "127.0.0.1:1/a:1", "127.0.0.1:1/b:1"], config: config.path, in: folder)
            #expect(refused.status == 2 && refused.errors.contains("\(folder.path)/none.pem"), "\(refused.errors)")
        }
    }
}
