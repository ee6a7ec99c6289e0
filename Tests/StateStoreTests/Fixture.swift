import DeliveryModel
import Foundation
import OCIModel
import PostgresCluster
import StateSQLite
import StateStore
import Synchronization
import SystemPackage
import Testing

@testable import StatePostgres

enum StoreKind: CaseIterable, Sendable { case sqlite, postgres }

/// A new store of a kind, and time that the test moves.
final class Fixture: Sendable {
    let store: any StateStore
    let folder: URL
    private let clock = ClockBox()
    private let postgres: PostgresStore?
    /// Nil: SQLite.
    let url: String?

    init(_ kind: StoreKind) async throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("slipway-store-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        switch kind {
        case .sqlite:
            (postgres, url) = (nil, nil)
            let clock = clock
            store = try SQLiteStore(file: FilePath(folder.path).appending("slipway.db")) { clock.now }
        case .postgres:
            let url = try await PostgresCluster.shared().newDatabase()
            let postgres = try PostgresStore(url: url)
            (self.postgres, self.url, store) = (postgres, url, postgres)
        }
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// The same database as another server opens it: connections of its own where there are several servers.
    func reopened() async throws -> any StateStore {
        if let url { return try PostgresStore(url: url) }
        let clock = clock
        return try SQLiteStore(file: FilePath(folder.path).appending("slipway.db")) { clock.now }
    }

    /// Servers on the store: one where only one may use it.
    func servers(_ count: Int) async throws -> [any StateStore] {
        guard let url else { return Array(repeating: store, count: count) }
        return try (0..<count).map { _ in try PostgresStore(url: url) }
    }

    /// Time goes on. Where it is the database's own, everything that has a time is moved into the past instead.
    func advance(_ seconds: Double) async throws {
        clock.advance(seconds)
        guard let postgres else { return }
        try await postgres.run("UPDATE run SET leaseExpiresAt = leaseExpiresAt - \(seconds)")
        try await postgres.run("UPDATE job SET leaseExpiresAt = leaseExpiresAt - \(seconds)")
        try await postgres.run("UPDATE lease SET leaseExpiresAt = leaseExpiresAt - \(seconds)")
        try await postgres.run("UPDATE deployment SET leaseExpiresAt = leaseExpiresAt - \(seconds), expiresAt = expiresAt - \(seconds)")
        try await postgres.run("UPDATE delivery SET nextAttemptAt = nextAttemptAt - \(seconds), leaseExpiresAt = leaseExpiresAt - \(seconds)")
        try await postgres.run(
            """
            UPDATE outboxMessage SET nextAttemptAt = nextAttemptAt - \(seconds), leaseExpiresAt = leaseExpiresAt - \(seconds),
                finishedAt = finishedAt - \(seconds)
            """)
    }

    func project(_ name: String = "gtin") async throws {
        try await store.add(Project(name: name, url: "/srv/\(name).git", sealedSecret: Data([1]), createdAt: 0))
    }

    static func newRun(_ trigger: String, steps: [String] = ["test"], diagnostic: String? = nil) -> NewRun {
        NewRun(
            project: "gtin", pipeline: "main", trigger: trigger, event: "push", commit: String(repeating: "a", count: 40),
            branch: "main", author: "Ada", message: "first", commitTime: 1, plan: "{}", diagnostic: diagnostic,
            steps: steps.map { NewStep(name: $0, image: "busybox", dependsOn: []) })
    }

    /// The ids of queued runs of one delivery.
    func runs(_ triggers: [String]) async throws -> [Int64] {
        let id = try await deliver(UUID().uuidString)
        return try await store.finishDelivery(id, outcome: "", runs: triggers.map { Self.newRun($0) })
    }

    /// A claimed run of one delivery.
    func run(steps: [String] = ["test"]) async throws -> Run {
        try await project()
        let id = try await deliver("1")
        let ids = try await store.finishDelivery(id, outcome: "runs: main", runs: [Self.newRun("plain:1", steps: steps)])
        #expect(ids.count == 1)
        return try #require(try await store.claimRun(holder: "a", leaseSeconds: 10_000))
    }

    static func delivery(_ forgeID: String) -> NewDelivery {
        NewDelivery(project: "gtin", forge: "plain", forgeID: forgeID, headers: ["a": "b"], body: [1, 2], event: "push")
    }

    func deliver(_ forgeID: String) async throws -> Int64 {
        let outcome = try await store.accept(Self.delivery(forgeID))
        guard case .accepted(let id) = outcome else { throw CancellationError() }
        return id
    }

    /// A release with a deployment to dev.
    func release(_ run: Run, digest: Digest, approvals: Int = 0) async throws -> Deployment {
        let release = NewRelease(
            image: "shop/gtin", digest: digest, service: ServiceDefinition(port: 80), stages: "[]",
            deployments: [
                NewDeployment(stage: "dev", kind: "automatic", requestedBy: "slipway", approvalsNeeded: approvals, expiresAfter: 60_000)
            ])
        let done = try await store.advance(run, RunChange(end: RunEnd(.succeeded)), release: release)
        #expect(done)
        return try #require(try await store.deployments(project: "gtin", limit: 1).first)
    }
}

extension StateStore {
    func advance(_ run: Run, _ change: RunChange, release: NewRelease? = nil) async throws -> Bool {
        try await advanceRun(run.id, epoch: run.epoch, by: change, release: release)
    }

    /// By people whom the server knows.
    func decide(deployment: Int64, actor: String, approved: Bool, comment: String?) async throws -> DecisionOutcome {
        let names = ["ada", "bob", "eve"] + (0..<10).map { "a\($0)" }
        let people = People(Dictionary(uniqueKeysWithValues: names.map { ($0, People.Person()) }))
        return try await decide(deployment: deployment, NewDecision(actor: actor, approved: approved, comment: comment), people: people)
    }

    /// Moves one step in its first attempt.
    func move(
        _ step: String, of run: Run, from: StepState, to: StepState, exitCode: Int? = nil, message: String? = nil
    ) async throws -> Bool {
        try await advance(run, RunChange(steps: [StepChange(step, from: from, to: to, exitCode: exitCode, message: message)]))
    }
}

final class ClockBox: Sendable {
    private let time = Mutex(1000.0)
    var now: Double { time.withLock { $0 } }
    func advance(_ seconds: Double) { time.withLock { $0 += seconds } }
}
