import Foundation
import Testing

extension EndToEnd {
    @Test("A mistake in the pipeline file: the run is invalid and shows file, line, column and the fix")
    func invalidPipeline() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(
                version: "1",
                pipeline: """
                    when: [{event: push}]
                    steps:
                      - name: test
                        image: library/busybox:1
                        comands: ["true"]

                    """)
            try await server.push(commit, to: server.addProject(repository))
            let run = try await server.finishedRun(of: commit)
            #expect(run.state == "invalid")
            let shown = try await server.slipway("show", "\(run.id)").output
            #expect(shown.contains("pipelines/sample.yaml:5:5"), "\(shown)")
            #expect(shown.contains("commands"), "\(shown)")
        }
    }

    @Test("A step fails: what comes after it is skipped, nothing is built or deployed")
    func failingStep() async throws {
        let steps = """
              - {name: test, image: library/busybox:1, commands: [echo one test failed, "false", echo never]}
              - {name: package, image: library/busybox:1, depends_on: [test], commands: [cp -R www dist]}
            """
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: SampleRepository.pipeline(steps: steps))
            try await server.push(commit, to: server.addProject(repository))
            let run = try await server.finishedRun(of: commit)
            #expect(run.state == "failed")
            #expect(run.steps?.map(\.state) == ["failed", "skipped"])
            #expect(run.steps?.first?.exitCode == 1)
            #expect(run.error?.contains("'test'") == true)
            #expect(run.digest == nil && (run.deployments ?? []).isEmpty)
            let log = try await server.log(of: run.id)
            #expect(log.contains("[test] one test failed"))
            #expect(!log.contains("[test] never"))
            try await until("its containers are gone") { server.containers.isEmpty }
        }
    }

    @Test("A step's image is missing: the error names the reference and where it was looked for")
    func missingImage() async throws {
        let steps = "  - {name: test, image: \"library/nowhere:7\", commands: [\"true\"]}"
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: SampleRepository.pipeline(steps: steps))
            try await server.push(commit, to: server.addProject(repository))
            let run = try await server.finishedRun(of: commit)
            #expect(run.state == "failed")
            let shown = try await server.slipway("show", "\(run.id)").output
            #expect(shown.contains("library/nowhere:7") && shown.contains("embedded registry"), "\(shown)")
        }
    }

    @Test("A release that does not become healthy fails with its last lines, and the version before keeps serving")
    func unhealthyRelease() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            let good = try await server.deliverToDev(repository.commit(version: "1"), of: project)
            let before = server.containers
            let commit = try await repository.commit(
                version: "2",
                pipeline: SampleRepository.pipeline(
                    entrypoint: #"[/bin/sh, -c, "echo no catalogue, giving up; exit 3"]"#))
            try await server.push(commit, to: project)
            let run = try await server.finishedRun(of: commit)
            #expect(run.state == "succeeded")
            let failed = try await eventually("the deployment fails") {
                try await server.show(run.id).deployments?.first { $0.state == "reverted" }
            }
            #expect(failed.message?.contains("exited with code 3") == true, "\(failed.message ?? "")")
            #expect(failed.logTail?.contains("no catalogue, giving up") == true)
            let shown = try await server.slipway("show", "\(run.id)").output
            #expect(shown.contains("no catalogue, giving up"), "\(shown)")
            let stage = try #require(try await server.stage("dev"))
            #expect(stage.state == "reverted" && stage.digest == good)
            #expect(try await server.answer(of: "dev").body == "version 1")
            #expect(server.containers == before)
            #expect(try await server.stage("prod")?.waiting?.digest == good)
        }
    }
}
