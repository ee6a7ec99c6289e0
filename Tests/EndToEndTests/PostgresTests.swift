import Foundation
import PostgresCluster
import Testing

extension EndToEnd {
    @Test("On PostgreSQL too a push arrives in dev and, approved, in prod")
    func pushToProdOnPostgres() async throws {
        let url = try await PostgresCluster.shared().newDatabase()
        try await ServerFixture.with(store: url) { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            let digest = try await server.deliverToDev(repository.commit(version: "1"), of: project)
            #expect(try await server.answer(of: "dev").body == "version 1")
            _ = try await eventually("prod waits for approval") { try await server.stage("prod")?.waiting }
            let approved = try await server.slipway("approve", "prod", "--project", "sample")
            #expect(approved.status == 0, "\(approved.errors)")
            try await server.live(digest, in: "prod")
            #expect(try await server.answer(of: "prod").body == "version 1")
            #expect(!FileManager.default.fileExists(atPath: server.data.appendingPathComponent("slipway.db").path))
            #expect(!text(server.folder, "server.log").contains(PostgresCluster.password))
        }
    }

    @Test("A store that is away: the server starts and says so, webhooks answer 503, a run goes on and is not failed")
    func storeIsAway() async throws {
        let steps = """
              - name: test
                image: library/busybox:1
                commands: [echo begun, \(SampleRepository.wait), echo done]
              - name: package
                image: library/busybox:1
                depends_on: [test]
                commands: [mkdir -p dist, cp -R www dist/]
            """
        let cluster = try await PostgresCluster()
        let url = try await cluster.newDatabase()
        try await ServerFixture.with(store: url) { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: SampleRepository.pipeline(steps: steps))
            let project = try await server.addProject(repository)

            try await server.stop()
            try await cluster.stop()
            try await server.start(untilReady: false)
            let waiting = try await eventually("the server says why it is not ready") {
                let answer = try await http("GET", "\(server.url)/readyz")
                return answer.status == 503 ? answer : nil
            }
            #expect(waiting.body.contains("PostgreSQL") && waiting.body.contains("pg_hba.conf"), "\(waiting.body)")
            let hook = try await command("/usr/bin/curl", ["-s", "-o", "/dev/null", "-D", "-", "-d", "{}", project.hook])
            #expect(hook.output.contains("503") && hook.output.lowercased().contains("retry-after: 5"), "\(hook.output)")
            try await cluster.start()
            try await until("the server is ready") { try await http("GET", "\(server.url)/readyz").status == 200 }

            try await server.push(commit, to: project)
            let begun = try await eventually("the step has begun") {
                guard let run = try await server.runs().first else { return nil as Int? }
                return try await server.log(of: run.id).contains("[test] begun") ? run.id : nil
            }
            try await cluster.stop()
            try server.letGo(begun)
            try await until("the step ends meanwhile") {
                try await command("/bin/grep", ["-rqs", " F done$", "\(server.data.path)/containers"]).status == 0
            }
            try await cluster.start()
            let run = try await server.finishedRun(of: commit, seconds: 40)
            #expect(run.state == "succeeded", "\(run.error ?? "")")
            #expect(try await server.log(of: run.id).components(separatedBy: "[test] done").count == 2)
            try await server.live(#require(run.digest), in: "dev", seconds: 30)
            let log = text(server.folder, "server.log")
            #expect(log.contains("the store does not answer") && log.contains("the store answers again"))
        }
        try await cluster.remove()
    }
}
