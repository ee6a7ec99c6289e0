import Foundation
import Testing

extension EndToEnd {
    @Test("A webhook that is not the project's is refused and leaves nothing behind")
    func refusedWebhooks() async throws {
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1")
            let project = try await server.addProject(repository)
            let body = #"{"ref":"refs/heads/main","after":"\#(commit)"}"#
            let right = "sha256=\(try await server.sign(body, with: project.secret))"
            func send(_ signature: String?, _ body: String, to url: String) async throws -> Answer {
                var headers = ["X-Slipway-Event": "push", "X-Slipway-Delivery": UUID().uuidString]
                headers["X-Slipway-Signature"] = signature
                return try await http("POST", url, headers: headers, body: Data(body.utf8))
            }

            #expect(try await send(nil, body, to: project.hook).status == 401)
            #expect(try await send("sha256=00ff", body, to: project.hook).status == 401)
            #expect(try await send("sha256=nonsense", body, to: project.hook).status == 401)
            #expect(try await send(right, body + " ", to: project.hook).status == 401)
            let stranger = try await send(right, body, to: "\(server.url)/hooks/stranger")
            #expect(stranger.status == 404)
            #expect(stranger.body.contains("there is no project 'stranger'"))
            let huge = String(repeating: " ", count: 5 << 20) + body
            #expect(try await send(right, huge, to: project.hook).status == 413)
            #expect(try await http("POST", project.hook, body: Data(body.utf8)).status == 400)

            #expect(try await server.deliveries().isEmpty)
            #expect(try await server.runs().isEmpty)
        }
    }

    @Test("GitHub's and Gitea's own headers and payloads start runs; a branch nobody asked for does not, and says why")
    func forges() async throws {
        let pipeline = """
            when: [{event: push, branch: main}]
            steps:
              - {name: test, image: library/busybox:1, commands: ["true"]}

            """
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: pipeline)
            let project = try await server.addProject(repository)
            let user = #"{"login":"ada","email":"ada@example.org"}"#
            func payload(_ branch: String) -> String {
                """
                {"ref":"refs/heads/\(branch)","before":"\(String(repeating: "0", count: 40))","after":"\(commit)",
                 "deleted":false,"repository":{"id":1,"full_name":"shop/sample","private":true},"pusher":\(user),
                 "head_commit":{"id":"\(commit)","message":"Version 1"},"commits":[{"id":"\(commit)"}],"sender":\(user)}
                """
            }
            func send(_ forge: String, event: String = "push", _ body: String) async throws -> Int {
                let signature = try await server.sign(body, with: project.secret)
                var headers = ["X-GitHub-Event": event, "X-GitHub-Delivery": UUID().uuidString, "X-Hub-Signature-256": "sha256=\(signature)"]
                if forge == "gitea" {
                    headers.merge(["X-Gitea-Event": event, "X-Gitea-Delivery": UUID().uuidString, "X-Gitea-Signature": signature]) { $1 }
                }
                headers["Content-Type"] = "application/json"
                return try await http("POST", project.hook, headers: headers, body: Data(body.utf8)).status
            }

            #expect(try await send("github", event: "ping", #"{"zen":"Design for failure."}"#) == 202)
            #expect(try await send("github", payload("main")) == 202)
            #expect(try await send("gitea", payload("main")) == 202)
            #expect(try await send("gitea", payload("docs")) == 202)
            let deliveries = try await eventually("the deliveries are worked on") {
                let all = try await server.deliveries()
                return all.allSatisfy { $0.state == "processed" } ? all : nil
            }
            try #require(deliveries.count == 4)
            #expect(deliveries.map(\.forge) == ["gitea", "gitea", "github", "github"])
            let why = deliveries[0].outcome ?? ""
            #expect(why.hasPrefix("no run") && why.contains("docs"), "\(why)")
            #expect(deliveries[3].outcome?.contains("ping") == true)
            let runs = try await eventually("the runs are over") {
                let all = try await server.runs()
                return all.allSatisfy(\.isOver) ? all : nil
            }
            // The same push came through two doors.
            #expect(runs.map(\.state) == ["succeeded"])
            #expect(deliveries[1].outcome?.contains("no second run of this push: sample") == true, "\(deliveries[1].outcome ?? "")")
        }
    }
}
