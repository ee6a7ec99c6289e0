import Logging
import RegistryClient
import ServiceLifecycle
import StateSQLite
import StateStore
import Synchronization
import Testing

@testable import PipelineEngine

/// What one server at a time does for all.
@Suite struct LeadTests {
    /// Who is at it.
    private final class Board: Sendable {
        private let names = Mutex<[String]>([])
        var present: [String] { names.withLock { $0 } }
        func enter(_ name: String) { names.withLock { $0.append(name) } }
        func leave(_ name: String) { names.withLock { $0.removeAll { $0 == name } } }
    }

    private struct Watch: Service {
        let name: String
        let board: Board

        func run() async throws {
            board.enter(name)
            defer { board.leave(name) }
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(60)) }
        }
    }

    private func server(_ name: String, on fixture: EngineFixture, _ board: Board) -> PipelineEngine {
        var parts = fixture.engine.parts
        parts.led = [Watch(name: name, board: board)]
        var settings = fixture.engine.settings
        settings.holder = name
        settings.isShared = true
        settings.leaseSeconds = 10
        settings.reconcileInterval = .zero
        return PipelineEngine(parts: parts, settings: settings, logger: fixture.engine.logger)
    }

    @Test func oneOfTwoServersLeadsAndTheOtherFollows() async throws {
        let fixture = try EngineFixture()
        let board = Board()
        let store = fixture.store
        try await withThrowingTaskGroup(of: Void.self) { group in
            let one = server("one", on: fixture, board)
            let first = Task { try await one.lead() }
            try await until("one leads") { board.present == ["one"] }
            let two = server("two", on: fixture, board)
            group.addTask { try await two.lead() }
            #expect(try await store.claimLease(PipelineEngine.leaderLease, holder: "two", leaseSeconds: 3) == nil)
            #expect(board.present == ["one"])
            first.cancel()
            try await first.value
            #expect(board.present.isEmpty)
            try await store.releaseLeases(holder: "one", orderly: true)
            try await until("two leads") { board.present == ["two"] }
            // Taken over, as when it was frozen: it finds out with its next renewal, and waits.
            try await until("three has it") {
                fixture.advance(60)
                return try await store.claimLease(PipelineEngine.leaderLease, holder: "three", leaseSeconds: 5) != nil
            }
            try await until("two has stopped") { board.present.isEmpty }
            fixture.advance(10)
            try await until("two leads again") { board.present == ["two"] }
            group.cancelAll()
            try await group.waitForAll()
        }
        try await fixture.connections.shutdown()
    }
}
