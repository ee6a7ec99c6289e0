import DeliveryModel
import Foundation
import OCIModel
import PostgresCluster
import StateStore
import Testing

@testable import StatePostgres

/// What only a database server brings with it.
@Suite(.timeLimit(.minutes(2))) struct PostgresTests {
    private func stateError(_ body: () async throws -> Void) async throws -> StateError {
        do {
            try await body()
        } catch let error as StateError {
            return error
        }
        throw PostgresFailure(message: "nothing was thrown")
    }

    @Test func aServerThatComesBackIsUsedAgain() async throws {
        let cluster = try await PostgresCluster()
        let store = try PostgresStore(url: try await cluster.newDatabase())
        try await store.add(Project(name: "gtin", url: "/srv/gtin.git", sealedSecret: Data([1]), createdAt: 0))
        #expect(try await store.accept(Fixture.delivery("1")) == .accepted(1))
        try await cluster.stop()
        let error = try await stateError { _ = try await store.accept(Fixture.delivery("2")) }
        #expect(error.code == .unavailable && error.description.contains("127.0.0.1:\(cluster.port)"), "\(error)")
        #expect(!error.description.contains(PostgresCluster.password) && !error.description.contains("\n"))
        #expect(try await stateError { try await store.ping() }.code == .unavailable)
        try await cluster.start()
        #expect(try await store.accept(Fixture.delivery("1")) == .duplicate(1))
        #expect(try await store.projects().count == 1)
        // Restarted while connections are idle: a write at once notices nothing of it.
        try await cluster.stop()
        try await cluster.start()
        try await store.setSecret("a", project: "gtin", sealed: [1])
        try await cluster.run("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'slipway'", in: "test1")
        #expect(try await store.claimRun(holder: "a", leaseSeconds: 1) == nil)
        try await cluster.remove()
    }

    @Test func serversThatStartAtOnceDoNotCollide() async throws {
        let url = try await PostgresCluster.shared().newDatabase()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<12 { group.addTask { try await PostgresStore(url: url).ping() } }
            try await group.waitForAll()
        }
        let applied = try await PostgresStore(url: url).read {
            try $0.run("SELECT number FROM slipwayMigration ORDER BY number").integers
        }
        #expect(applied == Migrations.all.map(\.number))
    }

    @Test func aNewerSchemaIsRefused() async throws {
        let url = try await PostgresCluster.shared().newDatabase()
        try await PostgresStore(url: url).run("INSERT INTO slipwayMigration VALUES (4711, 'later', 0)")
        let error = try await stateError { try await PostgresStore(url: url).ping() }
        #expect(error.code == .newerSchema && error.message.contains("4711"))
    }

    @Test func aServerGoesOnWhileOthersAreUpgraded() async throws {
        let cluster = try await PostgresCluster.shared()
        let url = try await cluster.newDatabase()
        let old = try PostgresStore(url: url)
        try await old.ping()
        try await old.run("INSERT INTO slipwayMigration VALUES (4711, 'later', 0)")
        // Its connections break, as they do now and then; the new ones meet the newer tables.
        let name = url.split(separator: "/").last.map(String.init) ?? ""
        try await cluster.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(name)'", in: "postgres")
        #expect(try await old.projects().isEmpty)
    }

    @Test func whatIsWrongIsSaidWithoutThePassword() async throws {
        let cluster = try await PostgresCluster.shared()
        let good = try await cluster.newDatabase()
        func explain(_ url: String) async throws -> StateError {
            let error = try await stateError { try await PostgresStore(url: url).ping() }
            #expect(error.code == .unavailable)
            #expect(!error.description.contains("s3cr") && !error.description.contains("t@word"), "\(error)")
            return error
        }
        #expect(try await explain(good.replacing("slipway:", with: "nobody:")).hint.contains("user and password"))
        #expect(try await explain(good.replacing("s3cr", with: "s3crx")).hint.contains("ALTER ROLE slipway PASSWORD"))
        #expect(try await explain(cluster.url("nowhere")).hint.contains("CREATE DATABASE nowhere OWNER slipway"))
        #expect(try await explain(good.replacing(":\(cluster.port)", with: ":1")).hint.contains("pg_hba.conf"))
        #expect(try await explain("\(good)?sslmode=require").hint.contains("sslmode"))
        // A password that was not encoded spills over into the parts behind it.
        for url in ["postgres://slipway:s3cr/t@word@127.0.0.1/db", "postgres://slipway:x@t@word@127.0.0.1/db", "postgres://a:%zz@h/d"] {
            #expect(try await explain(url).hint.contains("%40 for @"))
        }
    }

    @Test func aReadOnlyDatabaseSaysSo() async throws {
        let url = try await PostgresCluster.shared().newDatabase()
        try await PostgresStore(url: url).ping()
        let store = try PostgresStore(url: url + "?options=-c%20default_transaction_read_only%3Don")
        try await store.ping()
        let error = try await stateError { _ = try await store.releaseLeases(holder: "a", orderly: true) }
        #expect(error.code == .unavailable && error.hint.contains("primary"))
    }

    @Test func aStatementThatTakesTooLongIsGivenUp() async throws {
        let url = try await PostgresCluster.shared().newDatabase()
        // With its schema: making that may take longer.
        try await PostgresStore(url: url).ping()
        let store = try PostgresStore(url: url, statementTimeout: .seconds(1))
        let error = try await stateError { try await store.run("SELECT pg_sleep(30)") }
        #expect(error.code == .unavailable && error.hint.contains("pg_stat_activity"))
        try await store.ping()
    }

    @Test func aCallerThatGoesIsNotKept() async throws {
        let store = try PostgresStore(url: try await PostgresCluster.shared().newDatabase())
        let task = Task { try await store.run("SELECT pg_sleep(25)") }
        let deadline = ContinuousClock.now + .seconds(20)
        var isRunning = false
        while !isRunning, ContinuousClock.now < deadline {
            let rows = try await store.read {
                try $0.run("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(25)' AND datname = current_database()")
            }
            isRunning = !rows.cells.isEmpty
        }
        #expect(isRunning)
        let cancelled = ContinuousClock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(ContinuousClock.now - cancelled < .seconds(10))
        try await store.ping()
    }

    @Test func theDatabasesClockCounts() async throws {
        let fixture = try await Fixture(.postgres)
        let run = try await fixture.run()
        let store = try #require(fixture.store as? PostgresStore)
        let now = try await store.read { try $0.run("SELECT extract(epoch FROM now())::float8").cells }
        guard case .real(let seconds)? = now.first?.first else { throw PostgresFailure(message: "no time") }
        #expect(abs(run.leaseExpiresAt - seconds - 10_000) < 500)
    }

    @Test func aWriteElsewhereIsHeard() async throws {
        let fixture = try await Fixture(.postgres)
        try await fixture.project()
        let other = try await fixture.reopened()
        var hints = other.changes().makeAsyncIterator()
        // The first tells that somebody listens now.
        #expect(await hints.next() != nil)
        _ = try await fixture.deliver("1")
        #expect(await hints.next() != nil)
        let database = fixture.url?.split(separator: "/").last ?? ""
        try await PostgresCluster.shared().run(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'slipway changes' AND datname = '\(database)'
            """, in: "postgres")
        #expect(await hints.next() != nil)
        _ = try await fixture.deliver("2")
        #expect(await hints.next() != nil)
    }

    @Test func aListenerEndsWithItsTask() async throws {
        let store = try PostgresStore(url: try await PostgresCluster.shared().newDatabase())
        let task = Task {
            var count = 0
            for await _ in store.changes() { count += 1 }
            return count
        }
        task.cancel()
        #expect(await task.value <= 1)
    }

    @Test func deadlocksAreTriedAgain() async throws {
        let fixture = try await Fixture(.postgres)
        for name in ["a", "b"] { try await fixture.project(name) }
        let store = try #require(fixture.store as? PostgresStore)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                group.addTask {
                    try await store.write { session in
                        for name in number % 2 == 0 ? ["a", "b"] : ["b", "a"] {
                            try session.run("UPDATE project SET createdAt = createdAt + 1 WHERE name = \(name)")
                            try session.run("SELECT pg_sleep(0.02)")
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await store.projects().map(\.createdAt) == [4, 4])
    }
}
