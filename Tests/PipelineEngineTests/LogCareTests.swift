import ContainerRuntime
import DeliveryModel
import Foundation
import StateSQLite
import StateStore
import SystemPackage
import Testing

@testable import PipelineEngine

/// Logs of runs that are over: compressed, then removed for their age.
@Suite struct LogCareTests {
    private func fixture() async throws -> (EngineFixture, Int64) {
        let fixture = try EngineFixture()
        try await fixture.project()
        return (fixture, try await fixture.queueRun("1"))
    }

    private func write(_ lines: Int, to log: LogFile) throws {
        try FileSystem.makeFolder(log.path.removingLastComponent())
        let text = (0..<lines).map { "2026-11-21T14:25:30.1Z stdout F line \($0) of a log that is long enough\n" }.joined()
        try Data(text.utf8).write(to: URL(filePath: log.path.string))
    }

    /// The fixture's time is not the file system's: a folder's age is put right.
    private func setTime(_ fixture: EngineFixture, _ path: FilePath) throws {
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: fixture.now)], ofItemAtPath: path.string)
    }

    @Test func onlyLogsOfRunsThatAreOverAreCompressed() async throws {
        let (fixture, run) = try await fixture()
        let log = fixture.engine.logs(of: run).log("test"), small = fixture.engine.logs(of: run).log("small")
        try write(1_000, to: log)
        try write(3, to: small)
        try await fixture.engine.pruneLogs(removes: true)
        #expect(FileSystem.exists(log.path))
        try await fixture.endRun(.failed)
        try await fixture.engine.pruneLogs(removes: true)
        #expect(!FileSystem.exists(log.path) && FileSystem.exists(log.compressed) && FileSystem.exists(small.path))
        let shown = try await fixture.engine.maskedLog(run: #require(try await fixture.store.run(run)), step: "test")
        #expect(try await shown.tail(1).map(\.text) == ["line 999 of a log that is long enough"])
        #expect(shown.removedAfter == nil)
        #expect(try fixture.engine.logs(of: run).care(removingBefore: nil) == nil)
    }

    @Test func oldLogsGoAndTheRunSaysSo() async throws {
        let (fixture, run) = try await fixture()
        let logs = fixture.engine.logs(of: run)
        try write(1_000, to: logs.log("test"))
        try await fixture.endRun(.succeeded)
        try await fixture.engine.pruneLogs(removes: true)
        try setTime(fixture, logs.folder.appending("logs"))
        fixture.advance(89 * 86_400)
        try await fixture.engine.pruneLogs(removes: true)
        #expect(logs.log("test").exists)
        fixture.advance(2 * 86_400)
        // Not before the clock can be trusted.
        try await fixture.engine.pruneLogs(removes: false)
        #expect(logs.log("test").exists)
        try await fixture.engine.pruneLogs(removes: true)
        #expect(!logs.log("test").exists)
        let shown = try await fixture.engine.maskedLog(run: #require(try await fixture.store.run(run)), step: "test")
        #expect(shown.removedAfter == 7_776_000)
        #expect(try await shown.lines(from: 0, limit: 10).isEmpty)
        // A removal that was cut off is done again.
        try write(10, to: logs.log("other"))
        try await fixture.engine.pruneLogs(removes: true)
        #expect(!logs.log("other").exists)
    }

    @Test func whatWasTakenOverIsKeptByItself() async throws {
        let (fixture, run) = try await fixture()
        let old = fixture.engine.logs(of: run), new = fixture.engine.logs(of: run + 1)
        try write(1_000, to: old.log("test"))
        try await fixture.endRun(.failed)
        try await fixture.engine.pruneLogs(removes: true)
        try old.log("test").keep(as: new.log("test"))
        try old.remove(after: 1)
        #expect(!old.log("test").exists && new.log("test").exists)
        #expect(try await LogReader(file: new.log("test").path).tail(1).count == 1)
    }
}
