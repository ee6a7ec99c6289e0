import Foundation
import Testing

extension EndToEnd {
    @Test("kill -9 in the middle of a step: after the restart the run finishes, and the step ran once")
    func killedInStep() async throws {
        let steps = """
              - name: test
                image: library/busybox:1
                commands: [echo begun, sleep 3, echo mark >> marks, echo marked]
              - name: package
                image: library/busybox:1
                depends_on: [test]
                commands: ["echo marks: $(wc -l < marks)", mkdir -p dist, cp -R www dist/]
            """
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: SampleRepository.pipeline(steps: steps))
            try await server.push(commit, to: server.addProject(repository))
            let run = try await eventually("the step has begun") {
                guard let run = try await server.runs().first else { return nil as Int? }
                return try await server.log(of: run.id).contains("[test] begun") ? run.id : nil
            }
            try await server.kill9()
            try await server.start()
            let finished = try await server.finishedRun(of: commit, seconds: 30)
            #expect(finished.state == "succeeded", "\(finished.error ?? "")")
            let log = try await server.log(of: run)
            for line in ["begun", "marked"] { #expect(log.components(separatedBy: "[test] \(line)\n").count == 2, "\(log)") }
            #expect(log.contains("[package] marks: 1"), "\(log)")
            #expect(try await server.runs().count == 1)
            try await server.live(#require(finished.digest), in: "dev")
        }
    }

    @Test("kill -9 in the middle of a deployment: after the restart it succeeds, once")
    func killedInDeployment() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            let commit = try await repository.commit(
                version: "1", pipeline: SampleRepository.pipeline(entrypoint: SampleRepository.slowServer, replicas: 2))
            try await server.push(commit, to: project)
            try await until("dev is warming") { try await server.stage("dev")?.state == "warming" }
            let begun = server.instances
            try await server.kill9()
            try await server.start()
            let run = try await server.finishedRun(of: commit)
            try await server.live(#require(run.digest), in: "dev", seconds: 30)
            #expect(server.instances == begun)
            #expect(try await server.answer(of: "dev").body == "version 1")
            let deployments = try await server.show(run.id).deployments?.filter { $0.stage == "dev" }
            #expect(deployments?.map(\.state) == ["succeeded"])
        }
    }
}
