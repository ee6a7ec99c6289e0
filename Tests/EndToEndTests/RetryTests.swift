import Foundation
import Testing

extension EndToEnd {
    @Test("kill -9 in the middle of a retry: attempts are counted once, the log has them all, each has its own time")
    func killedInRetry() async throws {
        // Fails at once, then by its time limit, then holds until it is let go.
        let pipeline = """
            steps:
              - name: flaky
                image: library/busybox:1
                retries: 3
                timeout: 4s
                commands:
                  - echo "begun $SLIPWAY_ATTEMPT"
                  - echo x >> count
                  - if test "$SLIPWAY_ATTEMPT" = 1; then exit 7; fi
                  - if test "$SLIPWAY_ATTEMPT" = 2; then sleep 60; fi
                  - if test "$SLIPWAY_ATTEMPT" = 3; then sleep 2; exit 9; fi
                  - echo "ran $(wc -l < count) times"

            """
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: pipeline)
            try await server.push(commit, to: server.addProject(repository))
            for attempt in [2, 3] {
                try await until("attempt \(attempt) has begun") {
                    guard let run = try await server.runs().first else { return false }
                    return try await server.log(of: run.id).contains("[flaky] begun \(attempt)")
                }
                try await server.kill9()
                try await server.start()
            }
            let run = try await server.finishedRun(of: commit, seconds: 30)
            #expect(run.state == "succeeded", "\(run.error ?? "")")
            #expect(run.steps?.first?.attempt == 4)
            let lines = try await server.log(of: run.id).split(separator: "\n").filter { !$0.hasPrefix("[flaky] +") }
            #expect(
                lines == [
                    "[flaky] begun 1", "[flaky] --- attempt 1 of 4 failed: exit code 7; trying again ---",
                    "[flaky] begun 2",
                    "[flaky] --- attempt 2 of 4 failed: timed out after 4 s; raise 'timeout' of the step; trying again ---",
                    "[flaky] begun 3", "[flaky] --- attempt 3 of 4 failed: exit code 9; trying again ---", "[flaky] begun 4",
                    "[flaky] ran 4 times",
                ])
            try await until("its containers are gone") { server.containers.isEmpty }
        }
    }

    @Test("A step that fails more often than it may fails the run, and says how often it was tried")
    func retriesEnd() async throws {
        let pipeline = """
            steps:
              - {name: hopeless, image: library/busybox:1, retries: 1, commands: [echo tried, exit 5]}

            """
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: pipeline)
            try await server.push(commit, to: server.addProject(repository))
            let run = try await server.finishedRun(of: commit)
            #expect(run.state == "failed" && run.steps?.first?.attempt == 2 && run.steps?.first?.exitCode == 5)
            #expect(try await server.slipway("show", "\(run.id)").output.contains("exit code 5 · attempt 2"))
            #expect(try await server.log(of: run.id).components(separatedBy: "[hopeless] tried\n").count == 3)
        }
    }
}
