import Foundation
import Testing

extension EndToEnd {
    private struct Shop {
        let registry: DockerRegistry
        let folder: URL

        func build(_ arguments: [String], to name: String = "shop/app:1") async throws -> Outcome {
            try await command(
                ServerFixture.binary,
                ["image", "build", "--to", "\(registry.host)/\(name)", "--data", folder.appendingPathComponent("data").path] + arguments)
        }

        func write(_ name: String, _ text: String) throws {
            let file = folder.appendingPathComponent(name)
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }

        func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
    }

    private func withShop(_ body: (Shop) async throws -> Void) async throws {
        try await withFolder { folder in
            let registry = try DockerRegistry(folder.appendingPathComponent("registry"))
            try await registry.start()
            try await body(Shop(registry: registry, folder: folder))
        }
    }

    @Test("An unchanged image costs one request; a changed file sends its layer, config and manifest only")
    func unchangedImage() async throws {
        try await withShop { shop in
            for folder in ["one", "two", "three"] { try shop.write("\(folder)/file", folder) }
            let copies = ["one", "two", "three"].flatMap { ["--copy", "\(shop.path($0)):/app/\($0)"] }
            func build() async throws -> (outcome: Outcome, requests: [String]) {
                let before = try await shop.registry.requests().count
                let outcome = try await shop.build(copies)
                return (outcome, try await Array(shop.registry.requests().dropFirst(before)))
            }
            let first = try await build()
            #expect(first.outcome.status == 0, "\(first.outcome.errors)")
            let second = try await build()
            #expect(second.outcome.output == first.outcome.output)
            #expect(second.requests == ["HEAD /v2/shop/app/manifests/1"])
            try shop.write("two/file", "changed")
            let third = try await build()
            #expect(third.outcome.status == 0 && third.outcome.output != first.outcome.output)
            #expect(third.requests.filter { $0.hasPrefix("POST") }.count == 2, "\(third.requests)")
        }
    }

    @Test("Compression, labels, annotations, command and ports arrive, as skopeo sees them", arguments: ["gzip", "zstd", "none"])
    func buildOptions(compression: String) async throws {
        try await withShop { shop in
            try shop.write("app/file", "hello")
            let built = try await shop.build([
                "--copy", "\(shop.path("app")):/app", "--compression", compression, "--label", "a=b", "--annotation", "c=d=e",
                "--entrypoint", "/bin/x", "--cmd", "-v", "--cmd", "serve", "--port", "80", "--env", "E=1", "--user", "7", "--workdir", "/app",
                "--platform", "linux/arm64", "--timestamp", "1700000000",
            ])
            #expect(built.status == 0, "\(built.errors)")
            let name = "docker://\(shop.registry.host)/shop/app:1"
            let raw = try await command("/usr/bin/skopeo", ["inspect", "--tls-verify=false", "--raw", name]).output
            let type = ["gzip": "tar+gzip\"", "zstd": "tar+zstd\"", "none": "layer.v1.tar\""]
            #expect(raw.contains(try #require(type[compression])) && raw.contains("\"c\":\"d=e\""), "\(raw)")
            let config = try await command(
                "/usr/bin/skopeo", ["inspect", "--tls-verify=false", "--config", "--override-arch", "arm64", name])
            let compact = config.output.filter { !$0.isWhitespace }
            for part in [
                "\"Labels\":{\"a\":\"b\"}", "\"Entrypoint\":[\"/bin/x\"]", "\"Cmd\":[\"-v\",\"serve\"]", "\"80/tcp\":{}", "\"E=1\"",
                "\"User\":\"7\"", "\"WorkingDir\":\"/app\"", "\"architecture\":\"arm64\"", "2023-11-14T22:13:20Z",
            ] { #expect(compact.contains(part), "\(part) in \(config.output) \(config.errors)") }
        }
    }

    @Test("Mistakes are told with what to do; a secret stays out")
    func buildMistakes() async throws {
        try await withShop { shop in
            try shop.write("app/file", "the token is s3cret-t0ken-value")
            let copy = "\(shop.path("app")):/app"
            for (arguments, part) in [
                (["--compression", "gzip", "--compression-level", "3"], "choose 0, 1 or 2"), (["--compression", "xz"], "choose gzip, zstd or none"),
                (["--label", "x"], "NAME=VALUE"), (["--platform", "arm64"], "linux/arm64"), (["--secret-env", "NO_SUCH_THING"], "export it"),
            ] {
                let outcome = try await command(
                    ServerFixture.binary, ["image", "build", "--copy", copy, "--to", "a/b:1", "--data", shop.path("data")] + arguments)
                #expect(outcome.status == 2 && outcome.errors.contains(part), "\(arguments): \(outcome.errors)")
            }
            let refused = try await command(
                ServerFixture.binary,
                ["image", "build", "--copy", copy, "--to", "a/b:1", "--data", shop.path("data"), "--secret-env", "TOKEN"],
                environment: ["TOKEN": "s3cret-t0ken-value"])
            #expect(refused.status == 1 && refused.errors.contains("/app/file") && !refused.errors.contains("s3cret"), "\(refused.errors)")
        }
    }
}
