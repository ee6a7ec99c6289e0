import ContainerRuntime
import DeliveryModel
import Foundation
import RegistryClient
import StateSQLite
import StateStore
import Synchronization
import SystemPackage
import Testing

@testable import PipelineEngine

/// Two holders of one run, of whom one does not know yet that it is none any more.
@Suite struct TakeoverTests {
    /// The workspace of a run, written to by `text`, as the holder of `epoch`.
    private func checkOut(
        _ fixture: EngineFixture, epoch: Int64, text: String, meanwhile: @escaping @Sendable () async throws -> Void = {}
    ) async throws {
        let fence = Fence(owner: PipelineEngine.owner(ofRun: 1), epoch: epoch)
        let engine = fixture.engine
        try await engine.holding(fence, asked: .now) {
            try await engine.containers.takeOver()
        } renew: {
            true
        } _: {
            let files = engine.workspace(of: 1)
            try await engine.checkOut(to: files, epoch: epoch) { staged in
                try FileSystem.makeFolder(staged.tree)
                try Data(text.utf8).write(to: URL(filePath: staged.tree.appending("a").string))
                try await meanwhile()
                // As an export does that goes on: whether there is anything to write to is not its business.
                _ = try? Data(text.utf8).write(to: URL(filePath: staged.tree.appending("b").string))
            }
        }
    }

    private func names(_ fixture: EngineFixture) throws -> [String: String] {
        let tree = fixture.engine.workspace(of: 1).tree
        return Dictionary(
            try FileSystem.names(in: tree).map { ($0, try String(contentsOfFile: tree.appending($0).string, encoding: .utf8)) },
            uniquingKeysWith: { first, _ in first })
    }

    @Test func aCheckoutThatWasOvertakenChangesNothing() async throws {
        let fixture = try EngineFixture(leaseSeconds: 600)
        await #expect(throws: LeaseLost.self) {
            try await checkOut(fixture, epoch: 1, text: "old") {
                // Its lease is over while it exports, and the next holder does everything.
                try await checkOut(fixture, epoch: 2, text: "new")
            }
        }
        #expect(try names(fixture) == ["a": "new", "b": "new"])
        #expect(try FileSystem.names(in: fixture.engine.runFolder(1)).sorted() == ["workspace"])
        // One that claimed before, and wakes only now.
        await #expect(throws: LeaseLost.self) { try await checkOut(fixture, epoch: 1, text: "older") }
        #expect(try names(fixture) == ["a": "new", "b": "new"])
        try await fixture.connections.shutdown()
    }

    @Test func aLeaseIsCountedFromTheClaim() async throws {
        let fixture = try EngineFixture()
        let engine = fixture.engine
        let began = Mutex(false)
        await #expect(throws: LeaseLost.self) {
            try await engine.holding(nil, asked: .now - .seconds(engine.settings.leaseSeconds)) {
                true
            } _: {
                began.withLock { $0 = true }
            }
        }
        #expect(!began.withLock { $0 })
        let lease = HeldLease(fence: nil, asked: .now - .seconds(5), limit: .seconds(4))
        #expect(throws: LeaseLost.self) { try lease.assertHeld() }
        lease.wasRenewed(asked: .now)
        try lease.assertHeld()
        try await fixture.connections.shutdown()
    }

    @Test func epochsOfWhatIsOverGoAway() async throws {
        let fixture = try EngineFixture()
        try await fixture.project()
        let run = try await fixture.queueRun("one")
        let claimed = try #require(try await fixture.store.claimRun(holder: "test", leaseSeconds: 10))
        let runtime = fixture.engine.parts.runtime
        for owner in [PipelineEngine.owner(ofRun: run), PipelineEngine.owner(ofRun: 99), "d99"] {
            try await runtime.fence(Fence(owner: owner, epoch: claimed.epoch))
        }
        try await fixture.engine.forgetEpochs()
        #expect(try await runtime.owners() == [PipelineEngine.owner(ofRun: run)])
        let ended = try await fixture.store.advanceRun(run, epoch: claimed.epoch, by: RunChange(end: RunEnd(.failed)), release: nil)
        #expect(ended)
        try await fixture.engine.forgetEpochs()
        #expect(try await runtime.owners().isEmpty)
        try await fixture.connections.shutdown()
    }
}
