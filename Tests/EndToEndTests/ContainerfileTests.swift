import Foundation
import Testing

extension EndToEnd {
    private static let containerfile = """
        ARG BASE=library/busybox:1
        FROM $BASE AS site
        ARG GREETING
        RUN mkdir -p /out/www
        COPY www/ /out/www/
        RUN --mount=type=secret,id=site_key,required test -s /run/secrets/site_key && echo "$GREETING" > /out/www/greeting
        FROM $BASE
        COPY --from=site /out/www /www
        ENTRYPOINT ["/bin/sh", "-c", "trap 'exit 0' TERM; httpd -f -p 80 -h /www & wait"]

        """
    private static let pipeline = """
        when: [{event: push, branch: main}]
        build:
          image: shop/sample
          file: Containerfile
          arguments: {GREETING: hello}
          secrets: [site_key]
        service: {port: 80, health: {path: /healthz, interval: 100ms, timeout: 1s, healthy: 2, grace: 20s}}
        stages: [{name: dev, target: local, host: dev.localhost, drain: 1s}]

        """

    @Test("A Containerfile of the repository becomes the image: with arguments and secrets; its failure names the line")
    func containerfileInAPipeline() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            try repository.write(Self.containerfile, to: "Containerfile")
            let commit = try await repository.commit(version: "1", pipeline: Self.pipeline)
            let project = try await server.addProject(repository)
            let set = try await server.slipway("secret", "set", "site_key", "--project", "sample", input: "very-secret-value")
            #expect(set.status == 0, "\(set.errors)")
            let digest = try await server.deliverToDev(commit, of: project)
            #expect(try await server.answer(of: "dev").body == "version 1")
            #expect(try await server.answer(of: "dev", path: "/greeting").body == "hello")
            #expect(!digest.isEmpty)

            try repository.write(Self.containerfile + "RUN echo what is wrong; exit 3\n", to: "Containerfile")
            let broken = try await repository.commit(version: "2", pipeline: Self.pipeline)
            try await server.push(broken, to: project)
            let run = try await server.finishedRun(of: broken)
            #expect(run.state == "failed")
            let error = try #require(run.error)
            #expect(error.contains("Containerfile:10: the command failed with exit code 3"), "\(error)")
            #expect(error.contains("what is wrong"), "\(error)")
            let log = try await server.log(of: run.id)
            #expect(log.contains("[Containerfile] [") && log.contains("| what is wrong"), "\(log)")
            let page = try await http("GET", "\(server.url)/runs/\(run.id)").body
            #expect(page.contains("| what is wrong"))
        }
    }

    @Test("slipway image build --file: progress, a second build that runs nothing, a cache in a registry, mistakes with their place")
    func containerfileByCommand() async throws {
        try await withFolder { folder in
            let registry = try DockerRegistry(folder.appendingPathComponent("registry"))
            try await registry.start()
            func slipway(_ data: String, _ arguments: String...) async throws -> Outcome {
                try await command(
                    ServerFixture.binary, arguments + ["--data", folder.appendingPathComponent(data).path],
                    environment: ["TOKEN": "very-secret-value"])
            }
            let base = try await BaseImage.make(in: folder).path
            for data in ["one", "two"] { #expect(try await slipway(data, "image", "import", base, "library/busybox:1").status == 0) }
            let context = folder.appendingPathComponent("context")
            try FileManager.default.createDirectory(at: context, withIntermediateDirectories: true)
            let file = context.appendingPathComponent("Containerfile")
            try Data("FROM library/busybox:1\nRUN --mount=type=secret,id=t,env=T echo \"it is $T\"; echo made > /made\nCOPY . /all/\n".utf8).write(
                to: file)
            let cache = "\(registry.host)/cache/sample:1"
            let arguments = [
                "image", "build", "--file", file.path, "--secret", "id=t,env=TOKEN", "--network", "none", "--to", "\(registry.host)/shop/made:1",
            ]
            func build(_ data: String, _ more: String...) async throws -> Outcome {
                try await command(
                    ServerFixture.binary, arguments + more + ["--data", folder.appendingPathComponent(data).path],
                    environment: ["TOKEN": "very-secret-value"])
            }
            let first = try await build("one", "--cache-to", cache, "--cache-from", cache)
            #expect(first.status == 0, "\(first.errors)")
            #expect(first.errors.contains("[0 2/3] | it is ***"), "\(first.errors)")
            #expect(first.output.hasPrefix("2 steps done, 0 from the cache"), "\(first.output)")
            let second = try await build("one")
            #expect(second.output.hasPrefix("0 steps done, 2 from the cache"), "\(second.output) \(second.errors)")
            let elsewhere = try await build("two", "--cache-from", cache)
            #expect(elsewhere.output.hasPrefix("0 steps done, 2 from the cache"), "\(elsewhere.output) \(elsewhere.errors)")
            #expect(elsewhere.output.split(separator: "\n").last == first.output.split(separator: "\n").last)
            #expect(try await registry.digest("shop/made", "1") == first.output.split(separator: "\n").last.map(String.init))
            try Data("FROM library/busybox:1\nRNU true\n".utf8).write(to: file)
            let mistaken = try await build("one")
            #expect(mistaken.status == 1)
            #expect(mistaken.errors.contains("Containerfile:2:1: error:") && mistaken.errors.contains("RUN"), "\(mistaken.errors)")
            let usage = try await slipway("one", "image", "build", "--to", "x", "--target", "a", "--copy", "a:b")
            #expect(usage.status == 2)
        }
    }
}
