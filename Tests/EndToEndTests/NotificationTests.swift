import Foundation
import Recorder
import Testing

extension EndToEnd {
    private static let steps = """
        when: [{event: push, branch: main}]
        steps:
          - {name: test, image: library/busybox:1, commands: ["true"]}

        """

    private struct Target: Decodable {
        var id: Int
        var secret: String?
    }

    private struct Message: Decodable {
        var id: Int
        var message: String
        var state: String
        var event: String
        var attempts: Int
        var problem: String?
    }

    @Test("kill -9 while messages are being sent: after the restart each arrives, the one on its way a second time under the same id")
    func killedWhileSending() async throws {
        let receiver = try await Recorder.start { _, _ in .hang }
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: Self.steps)
            let project = try await server.addProject(repository)
            let target: Target = try await server.ask(["project", "notify", "add", "sample", receiver.url + "/hook"])
            try await server.push(commit, to: project)
            try await until("the first message is on its way") { receiver.requests.count == 1 }
            try await server.kill9()
            receiver.react { _, _ in .answer(204) }
            try await server.start()
            #expect(try await server.finishedRun(of: commit).state == "succeeded")
            try await until("all have arrived") { receiver.requests.count == 4 }
            let requests = receiver.requests
            #expect(requests.map { $0["X-Slipway-Event"] } == ["run.queued", "run.queued", "run.started", "run.succeeded"])
            #expect(requests[0]["X-Slipway-Message"] == requests[1]["X-Slipway-Message"])
            #expect(Set(requests.compactMap { $0["X-Slipway-Message"] }).count == 3)
            let secret = try #require(target.secret)
            #expect(requests[3]["X-Slipway-Signature"] == "sha256=\(try await server.sign(requests[3].text, with: secret))")
            try await until("nothing waits") { try await server.ask(["outbox", "list"], as: [Message].self).isEmpty }
            let all: [Message] = try await server.ask(["outbox", "list", "--all"])
            #expect(all.map(\.state) == ["sent", "sent", "sent"])
        }
        try await receiver.stop()
    }

    @Test("a refused message is a dead letter on the project's page and the command line, and can be sent again or discarded")
    func deadLetters() async throws {
        let receiver = try await Recorder.start { _, _ in .answer(410) }
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: Self.steps)
            let project = try await server.addProject(repository)
            let unknown = try await server.slipway("project", "notify", "add", "sample", receiver.url, "--events", "run.fialed")
            #expect(unknown.status == 1 && unknown.errors.contains("run.failed"), "\(unknown.errors)")
            _ = try await server.ask(
                ["project", "notify", "add", "sample", receiver.url, "--events", "run.queued,run.succeeded"], as: Target.self)
            try await server.push(commit, to: project)
            let dead = try await eventually("both are refused") {
                let dead = try await server.ask(["outbox"], as: [Message].self).filter { $0.state == "dead" }
                return dead.count == 2 ? dead : nil
            }
            #expect(dead.map(\.event) == ["run.succeeded", "run.queued"] && dead[0].attempts == 1)
            let page = try await http("GET", "\(server.url)/projects/sample", headers: ["Accept": "text/html"])
            #expect(page.body.contains("2 messages could not be delivered") && page.body.contains("answered 410"))
            receiver.react { _, _ in .answer(200) }
            #expect(try await server.slipway("outbox", "retry", "\(dead[0].id)").status == 0)
            try await until("it arrived") { receiver.requests.count == 3 }
            #expect(receiver.requests[2]["X-Slipway-Message"] == dead[0].message)
            #expect(try await server.slipway("outbox", "discard", "\(dead[1].id)").status == 0)
            try await until("nothing is left") { try await server.ask(["outbox"], as: [Message].self).isEmpty }
            let again = try await server.slipway("outbox", "retry", "\(dead[1].id)")
            #expect(again.status == 3 && again.errors.contains("no dead letter"), "\(again.errors)")
        }
        try await receiver.stop()
    }

    @Test("commit statuses go to the forge with a token from the project's secrets, which shows up nowhere")
    func commitStatus() async throws {
        let forge = try await Recorder.start { _, _ in .answer(201) }
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: Self.steps)
            let project = try await server.addProject(repository)
            func set() async throws -> Outcome {
                try await server.slipway(
                    "project", "set", "sample", "--status-url", "\(forge.url)/shop/sample.git", "--status-token-secret", "forge_token")
            }
            let refused = try await set()
            #expect(refused.status == 1 && refused.errors.contains("slipway secret set"), "\(refused.errors)")
            let token = "f0rge-t0ken-\(UUID().uuidString)"
            #expect(try await server.slipway("secret", "set", "forge_token", "--project", "sample", input: token).status == 0)
            #expect(try await set().output.contains("/api/v1/repos/shop/sample/statuses/"))
            try await server.push(commit, to: project)
            try await until("the end is told") { forge.requests.last?.text.contains("\"success\"") == true }
            #expect(forge.requests.allSatisfy { $0.path == "/api/v1/repos/shop/sample/statuses/\(commit)" })
            #expect(forge.requests.allSatisfy { $0["Authorization"] == "token \(token)" })
            #expect(forge.requests.last?.text.contains(#""context":"slipway/sample""#) == true)
            #expect(!text(server.folder, "server.log").contains(token))
            for file in ["slipway.db", "slipway.db-wal"] {
                let bytes = FileManager.default.contents(atPath: server.data.appendingPathComponent(file).path) ?? Data()
                #expect(bytes.range(of: Data(token.utf8)) == nil)
            }
            #expect(try await server.slipway("project", "set", "sample", "--no-status").status == 0)
        }
        try await forge.stop()
    }
}
