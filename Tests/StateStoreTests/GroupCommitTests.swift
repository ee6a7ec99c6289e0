import Foundation
import StateSQLite
import StateStore
import SystemPackage
import Testing

/// Writes that share a transaction stay what they are alone.
@Suite struct GroupCommitTests {
    private func withStore(_ body: (SQLiteStore, FilePath) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("slipway-group-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = FilePath(folder.path).appending("slipway.db")
        try await body(try SQLiteStore(file: file) { 1 }, file)
    }

    private func project(_ name: String) -> Project {
        Project(name: name, url: "/srv/\(name).git", sealedSecret: Data([1]), createdAt: 0)
    }

    private func delivery(_ id: Int, of project: String = "shop") -> NewDelivery {
        NewDelivery(project: project, forge: "plain", forgeID: "\(id)", headers: [:], body: [1], event: "push")
    }

    @Test func manyAtOnceAreEachThereOnce() async throws {
        try await withStore { store, file in
            try await store.add(project("shop"))
            let outcomes = try await withThrowingTaskGroup(of: AcceptOutcome.self) { group in
                // Every id twice.
                for number in 0..<600 { group.addTask { try await store.accept(delivery(number % 300)) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let accepted = outcomes.compactMap { if case .accepted(let id) = $0 { id } else { nil } }
            #expect(accepted.count == 300 && Set(accepted).count == 300)
            // What was answered is on disk for whoever opens the file next.
            let other = try SQLiteStore(file: file) { 1 }
            #expect(try await other.deliveries(project: "shop", limit: 1000).count == 300)
        }
    }

    @Test func oneThatFailsTakesNothingWithIt() async throws {
        try await withStore { store, _ in
            try await store.add(project("shop"))
            let failures = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        do {
                            if number % 4 == 0 {
                                try await store.add(project("shop"))
                            } else if number % 4 == 1 {
                                _ = try await store.accept(delivery(number, of: "nobody"))
                            } else {
                                _ = try await store.accept(delivery(number))
                            }
                            return false
                        } catch { return true }
                    }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(failures == 100)
            #expect(try await store.deliveries(project: "shop", limit: 1000).count == 100)
        }
    }

    @Test func aCancelledCallerWritesNothing() async throws {
        try await withStore { store, _ in
            try await store.add(project("shop"))
            let gate = AsyncStream<Void>.makeStream()
            let task = Task {
                for await _ in gate.stream {}
                return try await store.accept(delivery(1))
            }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(try await store.deliveries(project: "shop", limit: 10).isEmpty)
        }
    }
}
