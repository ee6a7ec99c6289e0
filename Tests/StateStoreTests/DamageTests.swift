import Foundation
import GRDB
import StateSQLite
import StateStore
import SystemPackage
import Testing

/// A SQLite file that is not what was written: said at the start or when it is met, and never written to again.
@Suite struct DamageTests {
    /// The files of a store that was killed with 200 deliveries: some in the database, some in the log beside it.
    private func withFiles(_ body: (FilePath) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("slipway-damage-\(UUID().uuidString)")
        let living = folder.appendingPathComponent("living"), dead = folder.appendingPathComponent("dead")
        for made in [living, dead] { try FileManager.default.createDirectory(at: made, withIntermediateDirectories: true) }
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try SQLiteStore(file: FilePath(living.path).appending("slipway.db")) { 1 }
        try await store.add(Project(name: "shop", url: "/srv/shop.git", sealedSecret: Data([1]), createdAt: 0))
        for number in 0..<100 { _ = try await store.accept(delivery(number)) }
        let queue = try DatabaseQueue(path: living.appendingPathComponent("slipway.db").path)
        try await queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(PASSIVE)") }
        for number in 100..<200 { _ = try await store.accept(delivery(number)) }
        for name in ["slipway.db", "slipway.db-wal"] {
            try FileManager.default.copyItem(at: living.appendingPathComponent(name), to: dead.appendingPathComponent(name))
        }
        try queue.close()
        try await body(FilePath(dead.path).appending("slipway.db"))
        withExtendedLifetime(store) {}
    }

    private func delivery(_ id: Int) -> NewDelivery {
        NewDelivery(
            project: "shop", forge: "plain", forgeID: "\(id)", headers: [:], body: [UInt8](repeating: 7, count: 600), event: "push")
    }

    private func change(_ file: FilePath, _ edit: (inout Data) -> Void) throws {
        var data = try Data(contentsOf: URL(filePath: file.string))
        edit(&data)
        try data.write(to: URL(filePath: file.string))
    }

    private func noise(_ count: Int) -> Data { Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 197 &+ 13) }) }

    private func expectDamage(_ file: FilePath, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let before = try Data(contentsOf: URL(filePath: file.string))
        let error = #expect(throws: StateError.self, sourceLocation: sourceLocation) { _ = try SQLiteStore(file: file) { 1 } }
        #expect(error?.code == .damaged, "\(String(describing: error))", sourceLocation: sourceLocation)
        #expect(error?.message.contains(file.string) == true, sourceLocation: sourceLocation)
        #expect(error?.hint.contains("slipway store restore") == true, sourceLocation: sourceLocation)
        #expect(try Data(contentsOf: URL(filePath: file.string)) == before, sourceLocation: sourceLocation)
    }

    @Test func whatIsSoundOpensWithEveryRow() async throws {
        try await withFiles { file in
            let store = try SQLiteStore(file: file) { 1 }
            #expect(try await store.deliveries(project: "shop", limit: 500).count == 200)
            try await store.ping()
        }
    }

    @Test func damageOfTheFileIsSaidAtTheStart() async throws {
        let cases: [(inout Data) -> Void] = [
            { $0 = Data() },
            { $0 = $0.prefix($0.count / 2) },
            { $0 = $0.prefix(100) },
            { $0.replaceSubrange(0..<100, with: noise(100)) },
            { $0.replaceSubrange(16..<60, with: noise(44)) },
            { data in
                // The upper half of every fourth page: rows, indexes, what comes.
                for page in stride(from: 4, to: data.count / 4096, by: 4) {
                    data.replaceSubrange((page * 4096)..<(page * 4096 + 2048), with: noise(2048))
                }
            },
        ]
        for edit in cases {
            try await withFiles { file in
                try FileManager.default.removeItem(atPath: "\(file)-wal")
                try change(file, edit)
                try expectDamage(file)
            }
        }
    }

    @Test func damageOfTheLogBesideItIsSaidAtTheStart() async throws {
        for place in [0, 20, 32 + 8, 32 + 24 + 1000, 32 + (24 + 4096) * 20 + 300] {
            try await withFiles { file in
                try change(FilePath("\(file)-wal")) { $0.replaceSubrange(place..<(place + 8), with: noise(8)) }
                try expectDamage(file)
            }
        }
    }

    @Test func aPowerCutInTheLastTransactionIsNoDamage() async throws {
        try await withFiles { file in
            try change(FilePath("\(file)-wal")) { $0 = $0.prefix($0.count - 2000) }
            let store = try SQLiteStore(file: file) { 1 }
            #expect(try await store.deliveries(project: "shop", limit: 500).count == 199)
            #expect(try await store.accept(delivery(999)) != .duplicate(0))
        }
        try await withFiles { file in
            // The last page of the last transaction never reached the disk; its commit did.
            try change(FilePath("\(file)-wal")) { $0.replaceSubrange(($0.count - 4000)..<($0.count - 3000), with: noise(1000)) }
            _ = try SQLiteStore(file: file) { 1 }
        }
        try await withFiles { file in
            try change(FilePath("\(file)-wal")) { $0 = Data(count: $0.count) }
            let store = try SQLiteStore(file: file) { 1 }
            #expect(try await store.deliveries(project: "shop", limit: 500).count == 100)
        }
    }

    @Test func damageThatIsMetWhileItWorksEndsAllWriting() async throws {
        try await withFiles { file in
            let store = try SQLiteStore(file: file) { 1 }
            let queue = try DatabaseQueue(path: file.string)
            try await queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
            let handle = try #require(FileHandle(forWritingAtPath: file.string))
            let pages = try handle.seekToEnd() / 4096
            for page in 1..<pages {
                try handle.seek(toOffset: page * 4096)
                try handle.write(contentsOf: noise(4096))
            }
            let before = try Data(contentsOf: URL(filePath: file.string))
            var codes: [StateError.Code] = []
            for number in 500..<520 {
                do { _ = try await store.accept(delivery(number)) } catch let error as StateError { codes.append(error.code) }
            }
            #expect(codes == Array(repeating: .damaged, count: 20))
            await #expect(throws: StateError.self) { try await store.ping() }
            #expect(try Data(contentsOf: URL(filePath: file.string)) == before)
            try handle.close()
            try queue.close()
        }
    }

    @Test func aLargeFileIsLookedThroughBesideTheWork() async throws {
        try await withFiles { file in
            do {
                let store = try SQLiteStore(file: file) { 1 }
                for number in 1000..<1080 {
                    _ = try await store.accept(
                        NewDelivery(
                            project: "shop", forge: "plain", forgeID: "\(number)", headers: [:], body: [UInt8](repeating: 9, count: 1 << 20),
                            event: "push"))
                }
                let queue = try DatabaseQueue(path: file.string)
                try await queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
            }
            let handle = try #require(FileHandle(forUpdatingAtPath: file.string))
            // In the middle of a body: nobody asks for it.
            try handle.seek(toOffset: (try handle.seekToEnd() / 8192) * 4096)
            try handle.write(contentsOf: noise(4096))
            try handle.close()
            let store = try SQLiteStore(file: file) { 1 }
            let deadline = ContinuousClock.now + .seconds(30)
            var found: StateError?
            while found == nil, ContinuousClock.now < deadline {
                do { try await store.ping() } catch let error as StateError { found = error }
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(found?.code == .damaged)
            await #expect(throws: StateError.self) { _ = try await store.accept(delivery(5000)) }
        }
    }

    @Test func aClockThatWasSetBackMeanwhileHoldsNothingUp() async throws {
        try await withFiles { file in
            do {
                let store = try SQLiteStore(file: file) { 1_000_000 }
                let claimed = try #require(try await store.claimDelivery(holder: "old name", leaseSeconds: 10))
                try await store.postponeDelivery(claimed.id, reason: "later", delay: 5, final: false)
                _ = try #require(try await store.claimDelivery(holder: "old name", leaseSeconds: 10))
            }
            let later = try SQLiteStore(file: file) { 996_400 }
            var claimed = 0
            while try await later.claimDelivery(holder: "new name", leaseSeconds: 10) != nil { claimed += 1 }
            #expect(claimed == 200)
        }
    }
}
