import Foundation
import Testing

extension EndToEnd {
    private func pipeline(pushingTo registry: DockerRegistry, commands: String) -> String {
        SampleRepository.pipeline(
            steps: "  - {name: package, image: \"library/busybox:1\", commands: [mkdir -p dist, cp -R www dist/, \(commands)]}",
            image: "\(registry.host)/shop/sample")
    }

    @Test("kill -9 in the middle of a push to another registry: after the restart the run finishes, once")
    func killedInPush() async throws {
        try await ServerFixture.with { server in
            let registry = try DockerRegistry(server.folder.appendingPathComponent("registry"))
            try await registry.start()
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            // What does not compress takes its time on the way.
            let commit = try await repository.commit(
                version: "1",
                pipeline: pipeline(pushingTo: registry, commands: "dd if=/dev/urandom of=dist/www/noise bs=1M count=192"))
            try await server.push(commit, to: server.addProject(repository))
            try await until("a layer is under way", seconds: 40) { registry.uploading > 1 << 20 }
            registry.freeze()
            // Layers travel while they are built.
            #expect(try await ["build", "push"].contains(server.runs().first?.phase))
            try await server.kill9()
            registry.thaw()
            let tag = String(commit.prefix(12))
            #expect(try await registry.digest("shop/sample", tag) == nil, "the tag moves last")

            try await server.start()
            let run = try await server.finishedRun(of: commit, seconds: 60)
            #expect(run.state == "succeeded", "\(run.error ?? "")")
            #expect(try await registry.digest("shop/sample", tag) == run.digest)
            #expect(try await server.runs().count == 1)
            try await server.live(#require(run.digest), in: "dev", seconds: 60)
        }
    }

    @Test("A registry that is down is tried again; one that stays down fails the run, and the image is kept")
    func registryDown() async throws {
        try await ServerFixture.with { server in
            let registry = try DockerRegistry(server.folder.appendingPathComponent("registry"))
            let gone = try DockerRegistry(server.folder.appendingPathComponent("gone"))
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            let lost = try await repository.commit(version: "1", pipeline: pipeline(pushingTo: gone, commands: "\"true\""))
            try await server.push(lost, to: project)
            let kept = try await repository.commit(version: "2", pipeline: pipeline(pushingTo: registry, commands: "\"true\""))
            try await server.push(kept, to: project)
            let run = try await eventually("a push has failed") {
                try await server.runs().first { $0.commit == kept && $0.phase == "push" }
            }
            try await until("the failure is shown") {
                try await server.slipway("show", "\(run.id)").output.contains("attempt 1 of 5")
            }
            try await registry.start()
            let pushed = try await server.finishedRun(of: kept)
            #expect(pushed.state == "succeeded", "\(pushed.error ?? "")")
            #expect(try await registry.digest("shop/sample", String(kept.prefix(12))) == pushed.digest)

            let failed = try await server.finishedRun(of: lost, seconds: 40)
            #expect(failed.state == "failed" && (failed.deployments ?? []).isEmpty)
            let error = failed.error ?? ""
            #expect(error.contains(gone.host) && error.contains("kept here as shop/sample@sha256:"), "\(error)")
            let digest = try #require(failed.digest)
            let image = try await http(
                "GET", "\(server.url)/v2/shop/sample/manifests/\(digest)",
                headers: ["Authorization": "Bearer \(server.token)"])
            #expect(image.status == 200)
        }
    }
}
