import Foundation
import Testing

extension EndToEnd {
    @Test("A run is repeated once per request, by API, command and button; the new run names the old one")
    func rerunWhole() async throws {
        let steps = """
              - {name: test, image: library/busybox:1, commands: [test -e /never]}
            """
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: "steps:\n\(steps)\n")
            try await server.push(commit, to: server.addProject(repository))
            let first = try await server.finishedRun(of: commit)
            #expect(first.state == "failed")

            var made: Set<Int> = []
            for (key, status) in [("a", 201), ("a", 200), ("b", 201)] {
                let answer = try await http(
                    "POST", "\(server.url)/api/v1/runs/\(first.id)/rerun",
                    headers: ["Authorization": "Bearer \(server.token)", "Idempotency-Key": key])
                #expect(answer.status == status, "\(answer.body)")
                made.insert(try JSONDecoder().decode(RunValue.self, from: Data(answer.body.utf8)).id)
            }
            #expect(made.count == 2)
            let typed = try await server.slipway("rerun", "\(first.id)")
            #expect(typed.status == 0 && typed.output.contains("repeats run \(first.id)"), "\(typed)")
            try await until("all are over") { try await server.runs().allSatisfy(\.isOver) }
            let runs = try await server.runs()
            #expect(runs.count == 4)
            for run in runs where run.id != first.id {
                #expect(run.rerunOf == first.id && run.commit == commit && run.state == "failed")
            }
            let page = try await http("GET", "\(server.url)/runs/\(first.id)")
            for run in made { #expect(page.body.contains("Repeated by</dt><dd><a href=\"/runs/\(run)\">")) }
            let unknown = try await server.slipway("rerun", "999")
            #expect(unknown.status == 1 && unknown.errors.contains("there is no run '999'"))
        }
    }
}
