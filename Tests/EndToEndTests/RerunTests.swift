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
            // The button, pressed twice.
            let pressed = try await server.press("/runs/\(first.id)", form: "/runs/\(first.id)/rerun", times: 2)
            #expect(pressed.count == 2 && Set(pressed).count == 1 && pressed[0].contains("/runs/4?done="), "\(pressed)")
            let typed = try await server.slipway("rerun", "\(first.id)")
            #expect(typed.status == 0 && typed.output.contains("repeats run \(first.id)"), "\(typed)")
            try await until("all are over") { try await server.runs().allSatisfy(\.isOver) }
            let runs = try await server.runs()
            #expect(runs.count == 5)
            for run in runs where run.id != first.id {
                #expect(run.rerunOf == first.id && run.commit == commit && run.state == "failed")
            }
            let page = try await http("GET", "\(server.url)/runs/\(first.id)")
            for run in made { #expect(page.body.contains("Repeated by</dt><dd><a href=\"/runs/\(run)\">")) }
            let unknown = try await server.slipway("rerun", "999")
            #expect(unknown.status == 1 && unknown.errors.contains("there is no run '999'"))
        }
    }

    /// Fails in the first run, and leaves dirt there.
    private static let partly = """
        steps:
          - {name: a, image: library/busybox:1, commands: [mkdir pkg, "echo 1 > pkg/f", "echo a >> trace"]}
          - {name: b, image: library/busybox:1, commands: [mv pkg renamed, "echo b >> trace"]}
          - name: c
            image: library/busybox:1
            commands: [echo begun, rm renamed/f, "echo dirty >> trace", sleep 2, 'test "$SLIPWAY_RUN" != 1', "echo 2 > renamed/g"]
          - {name: d, image: library/busybox:1, commands: ["echo left: $(cat trace) $(ls renamed)"]}

        """

    @Test("Repeated in part: steps that succeeded are taken over with their logs, the others find exactly what those left")
    func rerunInPart() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: Self.partly)
            try await server.push(commit, to: server.addProject(repository))
            // The layers of the workspace survive a server that is killed.
            try await until("c has begun") { try await server.runs().isEmpty ? false : server.log(of: 1).contains("[c] begun") }
            try await server.kill9()
            try await server.start()
            let first = try await server.finishedRun(of: commit)
            #expect(first.steps?.map(\.state) == ["succeeded", "succeeded", "failed", "skipped"], "\(first)")

            func again(_ options: String...) async throws -> RunValue {
                let made: RunValue = try await server.ask(["rerun", "1"] + options)
                return try await eventually("run \(made.id) is over") {
                    let run = try await server.show(made.id)
                    return run.isOver ? run : nil
                }
            }
            let failed = try await again("--failed")
            #expect(failed.state == "succeeded", "\(failed)")
            #expect(failed.steps?.map(\.takenFrom) == [1, 1, nil, nil])
            let log = try await server.log(of: failed.id)
            #expect(log.contains("[b] + mv pkg renamed") && log.contains("[d] left: a b dirty g\n"), "\(log)")
            let from = try await again("--from", "b")
            #expect(from.state == "succeeded" && from.steps?.map(\.takenFrom) == [1, nil, nil, nil])
            #expect(try await server.log(of: from.id).contains("[d] left: a b dirty g\n"))

            let typed = try await server.slipway("rerun", "1", "--failed", "--key", "typed")
            #expect(typed.output.contains("Taken over: a, b"), "\(typed)")
            try await until("the last one is over") { try await server.runs().allSatisfy(\.isOver) }

            func refused(_ arguments: String...) async throws -> String {
                let outcome = try await command(
                    ServerFixture.binary, ["rerun"] + arguments,
                    environment: ["SLIPWAY_URL": server.url, "SLIPWAY_TOKEN": server.token])
                #expect(outcome.status == 3, "\(outcome)")
                return outcome.errors
            }
            #expect(try await refused("\(failed.id)", "--failed").contains("nothing of run \(failed.id) failed"))
            #expect(try await refused("\(failed.id)", "--from", "c").contains("it succeeded"))
            #expect(try await refused("1", "--from", "x").contains("its steps: a, b, c, d"))

            // Kept for a time only.
            let runs = server.data.appendingPathComponent("runs")
            let kept = runs.appendingPathComponent("1/layers").path
            #expect(FileManager.default.fileExists(atPath: kept))
            #expect(!FileManager.default.fileExists(atPath: runs.appendingPathComponent("\(failed.id)/workspace").path))
            try await server.stop()
            server.environment = ["SLIPWAY_WORKSPACE_KEEP": "1s"]
            try await server.start()
            try await until("the workspace is removed") { !FileManager.default.fileExists(atPath: kept) }
            #expect(try await refused("1", "--failed").contains("over for too long"))
            #expect(try await server.log(of: 1).contains("[c] begun"))
        }
    }
}
