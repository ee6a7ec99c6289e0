import Crypto
import DeliveryModel
import Foundation
import Recorder
import StateSQLite
import StateStore
import Testing

@testable import PipelineEngine

@Suite(.serialized, .timeLimit(.minutes(5))) struct OutboxTests {
    @Test("what happens to a run arrives in order, signed, with an id of its own")
    func inOrder() async throws {
        try await withRecorder { recorder in
            let fixture = try EngineFixture()
            try await fixture.project()
            try await fixture.webhook(recorder.url + "/hook", secret: "s3cret")
            let run = try await fixture.queueRun("1")
            try await fixture.endRun(.failed, error: "the step 'test' failed")
            try await fixture.with({ await $0.carryMessages() }) {
                try await until("three messages came") { recorder.requests.count == 3 }
                try await until("they are known to be sent") { try await fixture.messages(.sent).count == 3 }
            }
            let requests = recorder.requests
            #expect(requests.map { $0["X-Slipway-Event"] } == ["run.queued", "run.started", "run.failed"])
            #expect(Set(requests.compactMap { $0["X-Slipway-Message"] }).count == 3)
            let last = requests[2]
            let code = HMAC<SHA256>.authenticationCode(for: last.body, using: SymmetricKey(data: Array("s3cret".utf8)))
            #expect(last["X-Slipway-Signature"] == "sha256=" + code.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined())
            let body = try #require(try JSONSerialization.jsonObject(with: Data(last.body)) as? [String: Any])
            #expect(body["id"] as? String == last["X-Slipway-Message"])
            #expect(body["event"] as? String == "run.failed" && body["state"] as? String == "failed")
            #expect(body["project"] as? String == "gtin" && body["pipeline"] as? String == "main" && body["branch"] as? String == "main")
            #expect(body["url"] as? String == "https://slipway.example.org/runs/\(run)")
            #expect(body["error"] as? String == "the step 'test' failed")
            #expect(body["duration"] as? Double == 3)
            #expect((body["at"] as? String)?.hasSuffix("Z") == true)
        }
    }

    @Test("a target takes only the events it was added for")
    func chosenEvents() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        try await fixture.webhook("http://127.0.0.1:1/", events: ["run.failed"])
        try await fixture.queueRun("1")
        try await fixture.endRun(.succeeded)
        #expect(try await fixture.messages().isEmpty)
        try await fixture.queueRun("2")
        try await fixture.endRun(.failed)
        #expect(try await fixture.messages().map(\.facts.event) == [.runFailed])
    }

    @Test("a failing message holds back the later ones of its target, and no other target's")
    func heldBack() async throws {
        try await withRecorder({ _, _ in .answer(500) }) { bad in
            try await withRecorder { good in
                let fixture = try EngineFixture()
                try await fixture.project()
                let failing = try await fixture.webhook(bad.url)
                try await fixture.webhook(good.url)
                try await fixture.queueRun("1")
                try await fixture.endRun(.succeeded)
                try await fixture.with({ await $0.carryMessages() }) {
                    try await until("the good target has all, and the store knows") {
                        let waiting = try await fixture.messages(.waiting)
                        return good.requests.count == 3 && waiting.allSatisfy { $0.target == failing }
                    }
                    try await until("the bad one was asked") {
                        try await fixture.messages(.waiting).contains { $0.attempts == 1 && $0.problem != nil }
                    }
                    #expect(bad.requests.map { $0["X-Slipway-Event"] } == ["run.queued"])
                    let waiting = try await fixture.messages(.waiting)
                    #expect(waiting.map(\.target) == [failing, failing, failing])
                    #expect(waiting.map(\.attempts) == [1, 0, 0])
                    #expect(waiting[0].problem?.contains("answered 500") == true, "\(waiting[0].problem ?? "")")
                    let pause = waiting[0].nextAttemptAt - fixture.now
                    #expect((0.5...1).contains(pause), "\(pause)")
                    bad.react { _, _ in .answer(204) }
                    fixture.advance(1)
                    try await until("then the bad target has all") { bad.requests.count == 4 }
                }
                let events = bad.requests.map { $0["X-Slipway-Event"] }
                #expect(events == ["run.queued", "run.queued", "run.started", "run.succeeded"])
                #expect(bad.requests[0]["X-Slipway-Message"] == bad.requests[1]["X-Slipway-Message"])
                #expect(bad.requests[1]["X-Slipway-Attempt"] == "2")
            }
        }
    }

    @Test("Retry-After is honoured, and what passes by itself is tried again", arguments: [429, 503, 408, 425])
    func retryAfter(status: Int) async throws {
        try await withRecorder({ _, number in number == 0 ? .answer(status, [("Retry-After", "90")]) : .answer(204) }) { recorder in
            let fixture = try EngineFixture()
            try await fixture.project()
            try await fixture.webhook(recorder.url)
            try await fixture.queueRun("1")
            try await fixture.with({ await $0.carryMessages() }) {
                try await until("it was asked to wait") { try await fixture.messages(.waiting).first?.problem != nil }
                let waiting = try #require(try await fixture.messages(.waiting).first)
                #expect(waiting.nextAttemptAt - fixture.now == 90)
                fixture.advance(89)
                #expect(try await fixture.store.claimMessage(holder: "other", leaseSeconds: 1) == nil)
                fixture.advance(1)
                try await until("it arrived") { try await fixture.messages(.sent).count == 1 }
            }
            #expect(recorder.requests.count == 2)
        }
    }

    @Test("a refusal makes a dead letter at once, which blocks nobody and can be sent again", arguments: [400, 401, 404, 410, 301])
    func refused(status: Int) async throws {
        try await withRecorder({ _, number in number == 0 ? .answer(status, [("Location", "/elsewhere")]) : .answer(204) }) { recorder in
            let fixture = try EngineFixture()
            try await fixture.project()
            try await fixture.webhook(recorder.url)
            try await fixture.queueRun("1")
            try await fixture.endRun(.succeeded)
            try await fixture.with({ await $0.carryMessages() }) {
                try await until("the later ones arrived") { try await fixture.messages(.sent).count == 2 }
                let dead = try #require(try await fixture.messages(.dead).first)
                #expect(dead.facts.event == .runQueued && dead.attempts == 1)
                #expect(dead.problem?.contains("answered \(status)") == true)
                #expect(try await fixture.engine.decide(message: dead.id, retry: true))
                try await until("it arrived after all") { try await fixture.messages(.sent).count == 3 }
                #expect(recorder.requests.last?["X-Slipway-Message"] == dead.key)
                #expect(try await fixture.engine.decide(message: dead.id, retry: true) == false)
            }
            #expect(recorder.requests.count == 4)
        }
    }

    @Test("a receiver that closes, hangs or is not there is given up after the last attempt", arguments: ["close", "hang", "refuse"])
    func givenUp(how: String) async throws {
        try await withRecorder({ _, _ in how == "hang" ? .hang : .close }) { recorder in
            let fixture = try EngineFixture(outbox: OutboxPolicy(attempts: 3, base: .seconds(1), timeout: .milliseconds(300)))
            try await fixture.project()
            try await fixture.webhook(how == "refuse" ? "http://127.0.0.1:1/" : recorder.url)
            try await fixture.queueRun("1")
            try await fixture.with({ await $0.carryMessages() }) {
                for attempt in 1...2 {
                    try await until("attempt \(attempt) failed") {
                        try await fixture.messages(.waiting).contains { $0.attempts == attempt && $0.leaseExpiresAt == 0 }
                    }
                    fixture.advance(10)
                }
                try await until("it is dead") { try await fixture.messages(.dead).count == 1 }
            }
            let problem = try #require(try await fixture.messages(.dead).first?.problem)
            #expect(problem.contains("did not answer") && problem.hasSuffix("given up after 3 attempts"), "\(problem)")
        }
    }

    @Test("a server that dies while it sends has used up an attempt; the lease is another's after it expired")
    func lease() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        try await fixture.webhook("http://127.0.0.1:1/")
        try await fixture.queueRun("1")
        let first = try #require(try await fixture.store.claimMessage(holder: "a", leaseSeconds: 30))
        #expect(try await fixture.store.claimMessage(holder: "b", leaseSeconds: 30) == nil)
        fixture.advance(31)
        let second = try #require(try await fixture.store.claimMessage(holder: "b", leaseSeconds: 30))
        #expect(second.id == first.id && second.key == first.key && second.attempts == 2)
        #expect(try await fixture.store.finishMessage(first.id, epoch: first.epoch, outcome: .sent) == false)
        #expect(try await fixture.store.finishMessage(second.id, epoch: second.epoch, outcome: .sent))
    }

    @Test("a message that is being sent keeps a dead letter that is to be sent again waiting")
    func oneAtATime() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        try await fixture.webhook("http://127.0.0.1:1/")
        try await fixture.queueRun("1")
        try await fixture.queueRun("2")
        let first = try #require(try await fixture.store.claimMessage(holder: "a", leaseSeconds: 30))
        #expect(try await fixture.store.finishMessage(first.id, epoch: first.epoch, outcome: .dead(reason: "no")))
        let second = try #require(try await fixture.store.claimMessage(holder: "a", leaseSeconds: 30))
        #expect(try await fixture.store.retryMessage(first.id))
        #expect(try await fixture.store.claimMessage(holder: "b", leaseSeconds: 30) == nil)
        #expect(try await fixture.store.discardMessage(second.id) == false)
        #expect(try await fixture.store.finishMessage(second.id, epoch: second.epoch, outcome: .sent))
        #expect(try await fixture.store.claimMessage(holder: "b", leaseSeconds: 30)?.id == first.id)
    }
}
