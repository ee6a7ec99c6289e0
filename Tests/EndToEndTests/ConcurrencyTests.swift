import Foundation
import Testing

extension EndToEnd {
    private static func pipeline(cancel: Bool) -> String {
        """
        concurrency: {group: "{event}-{branch}", cancel: \(cancel)}
        steps:
          - name: hold
            image: library/busybox:1
            commands: [echo holding, "while ! grep -q free www/index.html; do usleep 20000; done"]

        """
    }

    @Test("Runs of a concurrency group wait for each other; with cancel a newer one takes the place of older ones")
    func concurrencyGroups() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let project = try await server.addProject(repository)
            func push(_ version: String, cancel: Bool) async throws -> Int {
                let commit = try await repository.commit(version: version, pipeline: Self.pipeline(cancel: cancel))
                try await server.push(commit, to: project)
                return try await eventually("the run of \(version)") { try await server.runs().first { $0.commit == commit }?.id }
            }
            let first = try await push("1", cancel: false)
            try await until("the first runs") { try await server.log(of: first).contains("] holding") }
            let second = try await push("free 2", cancel: false)
            let other = try await repository.git("rev-parse", "HEAD")
            try await server.push(other, branch: "feature", to: project)
            // Another branch is another group; it does not wait.
            let third = try await eventually("the run of the branch") {
                try await server.runs().first { $0.id > second && $0.state == "succeeded" }?.id
            }
            let waiting = try await server.show(second)
            #expect(waiting.state == "queued" && waiting.waitsFor == first)

            let newest = try await push("free 4", cancel: true)
            let last = try await eventually("the newest is over") {
                let run = try await server.show(newest)
                return run.isOver ? run : nil
            }
            #expect(last.state == "succeeded" && third < newest)
            for id in [first, second] {
                let run = try await server.show(id)
                #expect(run.state == "cancelled" && run.supersededBy == newest && run.error == "superseded by run \(newest)")
                let page = try await http("GET", "\(server.url)/runs/\(id)")
                #expect(page.body.contains("Superseded by</dt><dd><a href=\"/runs/\(newest)\">"))
                #expect(try await server.slipway("show", "\(id)").output.contains("superseded by run \(newest)"))
            }
        }
    }
}
