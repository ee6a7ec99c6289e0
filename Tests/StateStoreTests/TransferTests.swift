import DeliveryModel
import Foundation
import OCIModel
import PostgresCluster
import StatePostgres
import StateSQLite
import StateStore
import SystemPackage
import Testing

/// A whole store, moved and put back.
@Suite struct TransferTests {
    private typealias Movable = StoreSource & StoreSink

    /// Everything a store holds, with names in small letters.
    private func content(_ source: any StoreSource) throws -> [String: Set<[String: StoredValue]>] {
        var tables: [String: Set<[String: StoredValue]>] = [:]
        try source.readAll { rows in
            let names = rows.columns.map { $0.lowercased() }
            for row in rows.rows {
                let pairs = zip(names, row).map { ($0, $1) }
                tables[rows.table.lowercased(), default: []].insert(Dictionary(pairs, uniquingKeysWith: { first, _ in first }))
            }
        }
        return tables
    }

    /// Something in every table.
    private func filled(_ kind: StoreKind) async throws -> (Fixture, any StoreSource & StoreSink) {
        let fixture = try await Fixture(kind)
        let run = try await fixture.run()
        let store = fixture.store
        #expect(try await store.move("test", of: run, from: .waiting, to: .succeeded, exitCode: 0))
        let deployment = try await fixture.release(run, digest: .sha256([1]), approvals: 2)
        _ = try await store.decide(deployment: deployment.id, actor: "ada", approved: true, comment: "good")
        try await store.setSecret("key", project: "gtin", sealed: [0, 1, 255])
        try await store.add(
            AccessToken(name: "ci", hash: "h", pull: [try RepositoryPattern(parsing: "shop/*")], push: [], createdBy: "a", createdAt: 1.25))
        _ = try await store.claimLease("leader", holder: "a", leaseSeconds: 10_000)
        _ = try await store.register(folder: "old", place: "a:/old", adopting: false)
        // The highest number is given, and its row gone again.
        try await fixture.project("other")
        for _ in 0..<3 {
            try await store.record(project: "other", run: nil, deployment: nil, actor: "a", message: "m")
        }
        #expect(try await store.removeProject("other") == .removed)
        return (fixture, try #require(store as? any StoreSource & StoreSink))
    }

    private func empty(_ kind: StoreKind) async throws -> (Fixture, any StoreSource & StoreSink) {
        let fixture = try await Fixture(kind)
        // Its own connections would count as a server's.
        guard let url = fixture.url else { return (fixture, try #require(fixture.store as? any StoreSource & StoreSink)) }
        return (fixture, try PostgresStore(url: url))
    }

    @Test(arguments: StoreKind.allCases, StoreKind.allCases)
    func everythingIsMoved(_ from: StoreKind, _ to: StoreKind) async throws {
        let (origin, source) = try await filled(from)
        let (copy, target) = try await empty(to)
        try target.fill(replacing: false) { try source.readAll($0) }
        let before = try content(source)
        #expect(before.count >= 10)
        #expect(try content(target) == before)
        // What the servers of the old store agreed on does not come along.
        #expect(try await copy.store.register(folder: "new", place: "b:/new", adopting: false).folder == "new")
        #expect(try await copy.store.claimLease("leader", holder: "b", leaseSeconds: 10_000)?.epoch == 1)
        // Numbers go on where they were.
        #expect(try await copy.deliver("new") == origin.deliver("new"))
        let events = try await origin.store.events(project: nil, run: nil, deployment: nil, limit: 1)
        try await origin.store.record(project: "gtin", run: nil, deployment: nil, actor: "a", message: "m")
        try await copy.store.record(project: "gtin", run: nil, deployment: nil, actor: "a", message: "m")
        let next = try await origin.store.events(project: nil, run: nil, deployment: nil, limit: 1).map(\.id)
        #expect(next != events.map(\.id))
        #expect(try await copy.store.events(project: nil, run: nil, deployment: nil, limit: 1).map(\.id) == next)
    }

    @Test(arguments: StoreKind.allCases) func whatIsThereIsNotOverwritten(_ kind: StoreKind) async throws {
        let (_, source) = try await filled(.sqlite)
        let (fixture, target) = try await empty(kind)
        try target.fill(replacing: false) { try source.readAll($0) }
        do {
            try target.fill(replacing: false) { try source.readAll($0) }
            Issue.record("a store was filled twice")
        } catch let error as StateError {
            #expect(error.code == .exists && error.message.contains("not empty"))
        }
        try target.fill(replacing: true) { try source.readAll($0) }
        #expect(try content(target) == content(source))
        // All or nothing.
        do {
            try target.fill(replacing: true) { put in
                try source.readAll(put)
                throw CancellationError()
            }
        } catch is CancellationError {}
        #expect(try content(target) == content(source))
        withExtendedLifetime(fixture) {}
    }

    @Test func aDatabaseInUseIsNotFilled() async throws {
        let (_, source) = try await filled(.sqlite)
        let (fixture, target) = try await empty(.postgres)
        try await fixture.store.ping()
        do {
            try target.fill(replacing: true) { try source.readAll($0) }
            Issue.record("a store in use was filled")
        } catch let error as StateError {
            #expect(error.code == .exists && error.message.contains("a server uses"))
        }
        withExtendedLifetime(fixture) {}
    }

    @Test func aBackupIsMadeWhileTheStoreIsWritten() async throws {
        let (fixture, source) = try await filled(.sqlite)
        let file = FilePath(fixture.folder.path).appending("slipway.db"), backup = FilePath(fixture.folder.path).appending("backup.db")
        let before = try content(source)
        try SQLiteFile(file).backUp(to: backup)
        try await fixture.store.setSecret("later", project: "gtin", sealed: [1])
        #expect(try content(SQLiteFile(backup)) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.folder.path).filter { $0.hasPrefix("backup") } == ["backup.db"])
    }

    @Test func aBackupOfPostgresIsAFileToo() async throws {
        let (fixture, source) = try await filled(.postgres)
        let backup = FilePath(fixture.folder.path).appending("backup.db")
        try SQLiteStore.makeFile(backup, from: source as? PostgresStore ?? PostgresStore(url: ""))
        #expect(try content(SQLiteFile(backup)) == content(source))
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.folder.path).filter { $0.hasPrefix("backup") } == ["backup.db"])
    }

    @Test func whatIsNoStoreIsNotRead() async throws {
        let (fixture, _) = try await empty(.sqlite)
        let file = FilePath(fixture.folder.path).appending("text")
        try Data("no database, though long enough to be looked at".utf8).write(to: URL(fileURLWithPath: file.string))
        for name in [file, file.removingLastComponent().appending("missing")] {
            do {
                _ = try SQLiteFile(name)
                Issue.record("\(name) was read")
            } catch let error as StateError {
                #expect(error.hint.contains("slipway store backup"))
            }
        }
    }
}
