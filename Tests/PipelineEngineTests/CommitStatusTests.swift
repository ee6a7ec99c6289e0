import DeliveryModel
import Foundation
import Recorder
import StateSQLite
import StateStore
import Testing

@testable import PipelineEngine

@Suite(.serialized, .timeLimit(.minutes(5))) struct CommitStatusTests {
    private func status(_ request: Recorder.Request) throws -> [String: String] {
        try JSONDecoder().decode([String: String].self, from: Data(request.body))
    }

    private func fixture(_ kind: OutboxTarget.Kind, _ url: String, token: String? = "t0ken") async throws -> EngineFixture {
        let fixture = try EngineFixture()
        try await fixture.project()
        if let token {
            try await fixture.store.setSecret("forge", project: "gtin", sealed: fixture.secrets.seal(token, context: "gtin/forge"))
        }
        _ = try await fixture.store.save(NewOutboxTarget(project: "gtin", kind: kind, url: url, tokenSecret: "forge"))
        return fixture
    }

    @Test(
        "the forge is told what a pipeline's run came to",
        arguments: [(OutboxTarget.Kind.github, "Bearer t0ken"), (.gitea, "token t0ken")])
    func told(kind: OutboxTarget.Kind, authorization: String) async throws {
        try await withRecorder({ _, _ in .answer(201) }) { recorder in
            let fixture = try await fixture(kind, recorder.url + "/repos/shop/gtin", token: "t0ken\n")
            let run = try await fixture.queueRun("1")
            try await fixture.with({ await $0.carryMessages() }) {
                try await until("queued came") { try await fixture.messages(.sent).count == 1 }
                try await fixture.endRun(.succeeded)
                try await until("the end came") { try await fixture.messages(.waiting).isEmpty }
            }
            let commit = String(repeating: "a", count: 40)
            #expect(recorder.requests.allSatisfy { $0.path == "/repos/shop/gtin/statuses/\(commit)" })
            #expect(recorder.requests.allSatisfy { $0["Authorization"] == authorization })
            let first = try status(recorder.requests[0])
            #expect(first["state"] == "pending" && first["context"] == "slipway/main")
            #expect(first["target_url"] == "https://slipway.example.org/runs/\(run)")
            let last = try status(try #require(recorder.requests.last))
            #expect(last["state"] == "success" && last["description"] == "Succeeded after 3 s")
        }
    }

    @Test("a status that a newer one of its context has overtaken is not sent")
    func overtaken() async throws {
        try await withRecorder({ _, _ in .answer(201) }) { recorder in
            let fixture = try await fixture(.gitea, recorder.url + "/api/v1/repos/shop/gtin")
            try await fixture.queueRun("1", pipeline: "main")
            try await fixture.endRun(.failed, error: String(repeating: "long ", count: 100) + "\nsecond line")
            try await fixture.queueRun("2", pipeline: "docs")
            try await fixture.with({ await $0.carryMessages() }) {
                try await until("both contexts are told") { recorder.requests.count == 2 }
                try await until("nothing waits") { try await fixture.messages(.waiting).isEmpty }
            }
            let told = try recorder.requests.map { try status($0) }
            #expect(told.map { $0["context"] } == ["slipway/main", "slipway/docs"])
            #expect(told.map { $0["state"] } == ["failure", "pending"])
            #expect(told[0]["description"]?.count == 140)
            #expect(try await fixture.messages(.skipped).count == 2)
        }
    }

    @Test("a dead letter that was overtaken is not sent again over the newer one")
    func deadAndOvertaken() async throws {
        try await withRecorder({ _, number in .answer(number == 0 ? 422 : 201) }) { recorder in
            let fixture = try await fixture(.github, recorder.url + "/repos/shop/gtin")
            try await fixture.queueRun("1")
            try await fixture.with({ await $0.carryMessages() }) {
                try await until("the first is refused") { try await fixture.messages(.dead).count == 1 }
                try await fixture.endRun(.succeeded)
                try await until("the last arrived") { try await fixture.messages(.sent).contains { $0.facts.event == .runSucceeded } }
                let dead = try #require(try await fixture.messages(.dead).first)
                #expect(try await fixture.engine.decide(message: dead.id, retry: true))
                try await until("it is skipped") { try await fixture.messages(.skipped).contains { $0.id == dead.id } }
            }
            #expect(try status(try #require(recorder.requests.last))["state"] == "success")
        }
    }

    @Test("without its token a status is a dead letter that says what to do; the token is in no message")
    func noToken() async throws {
        let fixture = try await fixture(.github, "http://127.0.0.1:1/repos/shop/gtin", token: nil)
        try await fixture.queueRun("1")
        try await fixture.with({ await $0.carryMessages() }) {
            try await until("it is dead") { try await fixture.messages(.dead).count == 1 }
        }
        let problem = try await fixture.messages(.dead).first?.problem
        #expect(problem?.contains("slipway secret set forge --project gtin") == true, "\(problem ?? "")")
    }

    @Test("a forge takes the place of the one before")
    func oneForge() async throws {
        let fixture = try await fixture(.github, "http://127.0.0.1:1/repos/shop/gtin")
        _ = try await fixture.store.save(
            NewOutboxTarget(project: "gtin", kind: .gitea, url: "http://127.0.0.1:2/repos/shop/gtin", tokenSecret: "forge"))
        let targets = try await fixture.store.outboxTargets(project: "gtin")
        #expect(targets.map(\.kind) == [.gitea])
        #expect(targets.map(\.place) == ["http://127.0.0.1:2/repos/shop/gtin"])
    }

    @Test("pauses double up to the longest one, with jitter, and never undercut what the receiver asked for")
    func pauses() {
        let policy = OutboxPolicy(base: .seconds(1), maximum: .seconds(60))
        for (attempt, full) in [(1, 1.0), (2, 2), (5, 16), (7, 60), (1000, 60)] {
            #expect((full / 2...full).contains(policy.pause(after: attempt, asked: nil)))
        }
        #expect(policy.pause(after: 1, asked: .seconds(300)) == 300)
        #expect(policy.pause(after: 9, asked: .zero) >= 30)
        #expect(Verdict(status: 403, retryAfter: nil) == .refused)
        #expect(Verdict(status: 403, retryAfter: .seconds(1)) == .later(asked: .seconds(1)))
    }
}
