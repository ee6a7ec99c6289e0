import Foundation
import Testing

extension EndToEnd {
    /// Processes whose command line has this word.
    private static func processes(with word: String) -> [Int32] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }.filter {
            text(URL(fileURLWithPath: "/proc/\($0)"), "cmdline").split(separator: "\0").contains { $0 == word }
        }
    }

    @Test("Cancelled steps that ignore SIGTERM are gone within two seconds, with their children, side by side too")
    func cancelIsQuick() async throws {
        let word = "\(Int.random(in: 1_000_000..<9_000_000))"
        let commands = "[\"trap '' TERM; sleep \(word) & (trap '' TERM; sleep \(word)) & echo ready; sleep \(word)\"]"
        let steps = (1...4).map { "  - {name: s\($0), image: library/busybox:1, depends_on: [], commands: \(commands)}" }
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: "steps:\n\(steps.joined(separator: "\n"))\n")
            try await server.push(commit, to: server.addProject(repository))
            try await until("all steps run") { Self.processes(with: word).count == 12 }
            let begun = ContinuousClock.now
            let answer = try await http(
                "POST", "\(server.url)/api/v1/runs/1/cancel", headers: ["Authorization": "Bearer \(server.token)"])
            #expect(answer.status == 202)
            try await until("no process is left") { Self.processes(with: word).isEmpty }
            // Less than the grace period that nobody waits for here.
            #expect(ContinuousClock.now - begun < .seconds(8))
            let run = try await server.finishedRun(of: commit)
            #expect(run.state == "cancelled" && run.steps?.allSatisfy { $0.state == "cancelled" } == true, "\(run)")
            #expect(server.containers.isEmpty)
        }
    }

    @Test("Cancelling reaches the command of a Containerfile too")
    func cancelInBuild() async throws {
        let word = "\(Int.random(in: 1_000_000..<9_000_000))"
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            try repository.write("FROM library/busybox:1\nRUN trap '' TERM; sleep \(word) & sleep \(word)\n", to: "Containerfile")
            let commit = try await repository.commit(version: "1", pipeline: "build: {image: shop/sample, file: Containerfile}\n")
            try await server.push(commit, to: server.addProject(repository))
            try await until("the command runs") { Self.processes(with: word).count == 2 }
            let begun = ContinuousClock.now
            #expect(try await server.slipway("cancel", "1").status == 0)
            try await until("no process is left") { Self.processes(with: word).isEmpty }
            #expect(ContinuousClock.now - begun < .seconds(8))
            #expect(try await server.finishedRun(of: commit).state == "cancelled")
        }
    }
}
