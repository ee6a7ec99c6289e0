import Foundation
import Testing

extension EndToEnd {
    @Test("A secret reaches the step that names it, and no log: neither raw nor in base64")
    func maskedSecrets() async throws {
        let secret = "correct-horse-battery"
        let pipeline = """
            when: [{event: push}]
            steps:
              - name: test
                image: library/busybox:1
                environment: {TOKEN: {from_secret: api_token}}
                commands: ["test ${#TOKEN} = \(secret.utf8.count)", "echo token $TOKEN.", "printf %s $TOKEN | base64"]
              - name: other
                image: library/busybox:1
                commands: ["echo other: ${TOKEN:-nothing}"]

            """
        try await ServerFixture.with { server in
            let repository = try await SampleRepository(server.folder.appendingPathComponent("sample"))
            let commit = try await repository.commit(version: "1", pipeline: pipeline)
            let project = try await server.addProject(repository)
            let set = try await server.slipway("secret", "set", "api_token", "--project", "sample", input: secret)
            #expect(set.status == 0, "\(set.errors)")
            #expect(try await server.slipway("secret", "list", "--project", "sample").output == "api_token\n")
            try await server.push(commit, to: project)
            let run = try await server.finishedRun(of: commit)
            let log = try await server.log(of: run.id)
            #expect(run.state == "succeeded", "\(log)")
            #expect(log.contains("[test] token ***."), "\(log)")
            #expect(log.contains("[other] other: nothing"), "\(log)")
            #expect(!log.contains(secret) && !log.contains(Data(secret.utf8).base64EncodedString()), "\(log)")
            #expect(!text(server.folder, "server.log").contains(secret))
        }
    }
}
