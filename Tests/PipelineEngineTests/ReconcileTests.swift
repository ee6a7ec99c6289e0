import Foundation
import StateSQLite
import StateStore
import Testing

@testable import PipelineEngine

@Suite(.serialized, .timeLimit(.minutes(5))) struct ReconcileTests {
    private func fixture(_ repository: BareRepository) async throws -> EngineFixture {
        let fixture = try EngineFixture()
        try await fixture.project(url: repository.bare.path)
        return fixture
    }

    private func withRepository(_ body: (BareRepository, EngineFixture) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("slipway-reconcile-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let repository = try BareRepository(in: folder)
        try await body(repository, fixture(repository))
    }

    private func look(_ fixture: EngineFixture) async throws {
        try await fixture.engine.lookAtBranches(of: #require(try await fixture.store.project("gtin")))
        while try await fixture.engine.intake() {}
    }

    /// A webhook of a forge, and what it leads to.
    private func hook(
        _ fixture: EngineFixture, _ commit: String, branch: String = "main", forge: String = "github", id: String, before: String? = nil
    ) async throws {
        _ = try await fixture.store.accept(
            NewDelivery(
                project: "gtin", forge: forge, forgeID: id, headers: [:], body: [], event: "push", branch: branch, commit: commit,
                before: before))
        while try await fixture.engine.intake() {}
    }

    private func runs(_ fixture: EngineFixture) async throws -> [String] {
        try await fixture.store.runs(project: nil, limit: 100).reversed().map(\.commit)
    }

    @Test("what is there when a project is added is seen; a push whose webhook never came is found, once")
    func found() async throws {
        try await withRepository { repository, fixture in
            try repository.push("old")
            try repository.push("older branch", branch: "legacy")
            try await look(fixture)
            #expect(try await runs(fixture).isEmpty)
            let commit = try repository.push("new")
            try await look(fixture)
            try await look(fixture)
            #expect(try await runs(fixture) == [commit])
            let delivery = try #require(try await fixture.store.deliveries(project: "gtin", limit: 10).first)
            #expect(delivery.forge == "reconcile" && delivery.branch == "main" && delivery.commit == commit)
            #expect(delivery.outcome == "runs: test")
        }
    }

    @Test("a webhook that comes late makes no second run, and says so")
    func lateWebhook() async throws {
        try await withRepository { repository, fixture in
            try repository.push("old")
            try await look(fixture)
            let commit = try repository.push("new")
            try await look(fixture)
            try await hook(fixture, commit, id: "late")
            #expect(try await runs(fixture) == [commit])
            let late = try #require(try await fixture.store.deliveries(project: "gtin", limit: 10).first)
            #expect(late.forge == "github" && late.outcome?.contains("no second run of this push: test") == true, "\(late.outcome ?? "")")
        }
    }

    @Test("a webhook that comes after the next push does not bring the old commit back; a push back to it does")
    func veryLateWebhook() async throws {
        try await withRepository { repository, fixture in
            let old = try repository.push("old")
            try await look(fixture)
            let first = try repository.push("first")
            try await look(fixture)
            let second = try repository.push("second")
            try await look(fixture)
            try await hook(fixture, first, id: "late", before: old)
            #expect(try await runs(fixture) == [first, second])
            try await hook(fixture, second, id: "late too", before: first)
            #expect(try await runs(fixture) == [first, second])
            try await hook(fixture, first, id: "back", before: second)
            #expect(try await runs(fixture) == [first, second, first])
        }
    }

    @Test("a webhook that came in time leaves nothing to find")
    func inTime() async throws {
        try await withRepository { repository, fixture in
            try repository.push("old")
            try await look(fixture)
            let commit = try repository.push("new")
            try await hook(fixture, commit, id: "1")
            try await look(fixture)
            #expect(try await runs(fixture) == [commit])
            #expect(try await fixture.store.deliveries(project: "gtin", limit: 10).count == 1)
        }
    }

    @Test("going back to an older commit is a push of its own, told or found")
    func backAndForth() async throws {
        try await withRepository { repository, fixture in
            let first = try repository.push("first")
            try await look(fixture)
            let second = try repository.push("second")
            try await look(fixture)
            try repository.move("main", to: first)
            try await look(fixture)
            try repository.move("main", to: second)
            try await look(fixture)
            try repository.move("main", to: first)
            try await hook(fixture, first, id: "told", before: second)
            try await look(fixture)
            #expect(try await runs(fixture) == [second, first, second, first])
        }
    }

    @Test("the same push told by two forges is one run; told again by one forge it is two")
    func twoDoors() async throws {
        try await withRepository { repository, fixture in
            let commit = try repository.push("first")
            try await hook(fixture, commit, forge: "github", id: "1")
            try await hook(fixture, commit, forge: "plain", id: "2")
            #expect(try await runs(fixture) == [commit])
            try await hook(fixture, commit, forge: "github", id: "3")
            #expect(try await runs(fixture) == [commit, commit])
        }
    }

    @Test("a branch no pipeline is for makes no run; a branch that is removed and comes back is found again")
    func branches() async throws {
        try await withRepository { repository, fixture in
            let first = try repository.push("first")
            try await look(fixture)
            try repository.push("docs only", branch: "docs")
            try await look(fixture)
            #expect(try await runs(fixture).isEmpty)
            #expect(try await fixture.store.deliveries(project: "gtin", limit: 1).first?.outcome?.hasPrefix("no run") == true)
            try repository.remove("main")
            try await look(fixture)
            try repository.move("main", to: first)
            try await look(fixture)
            #expect(try await runs(fixture) == [first])
        }
    }

    @Test("a push told while we looked is not mistaken for what we saw")
    func overtaken() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        #expect(try await fixture.store.reconcile(project: "gtin", heads: ["main": "a"], after: 0).isEmpty)
        _ = try await fixture.store.accept(
            NewDelivery(project: "gtin", forge: "plain", forgeID: "1", headers: [:], body: [], event: "push", branch: "main", commit: "c"))
        #expect(try await fixture.store.reconcile(project: "gtin", heads: ["main": "b"], after: 0).isEmpty)
        #expect(try await fixture.store.reconcile(project: "gtin", heads: ["main": "c"], after: 1).isEmpty)
        #expect(try await fixture.store.reconcile(project: "gtin", heads: ["main": "d"], after: 1).count == 1)
    }

    @Test("a repository that cannot be read is a problem to see, and none for others; then it is over")
    func unreachable() async throws {
        try await withRepository { repository, fixture in
            let commit = try repository.push("first")
            let aside = repository.bare.appendingPathExtension("aside")
            try FileManager.default.moveItem(at: repository.bare, to: aside)
            try await look(fixture)
            let problem = try await fixture.store.reconciliation(of: "gtin")?.problem
            #expect(problem?.contains(repository.bare.path) == true, "\(problem ?? "")")
            #expect(try await fixture.store.reconcileFailed(project: "gtin", problem: "still") == false)
            try FileManager.default.moveItem(at: aside, to: repository.bare)
            try await look(fixture)
            #expect(try await fixture.store.reconciliation(of: "gtin")?.problem == nil)
            #expect(try await runs(fixture).isEmpty)
            let next = try repository.push("second")
            #expect(next != commit)
            try await look(fixture)
            #expect(try await runs(fixture) == [next])
        }
    }

    @Test("the engine looks by itself, at a new project at once")
    func byItself() async throws {
        try await withRepository { repository, fixture in
            try repository.push("first")
            try await fixture.with({ await $0.watchBranches() }) {
                fixture.engine.projectAdded()
                try await until("it looked") { try await fixture.store.reconciliation(of: "gtin")?.at != nil }
            }
        }
    }
}
