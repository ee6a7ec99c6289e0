import AsyncHTTPClient
import DeliveryModel
import Foundation
import FreePort
import Testing

@testable import LoadGenerator

/// Against examples/mix, run by perl as it is.
@Suite(.serialized) struct LoadRunTests {
    @Test func everyKindIsAnswered() async throws {
        let record = try await load(mix: .sample, rate: 100, seconds: 6)
        #expect(record.failures == 0 && record.cut == 0, "\(record.reasons)")
        #expect(Set(record.sent.keys) == Set(LoadMix.Kind.allCases))
        // What is due is sent, and what is sent is counted, the slow ones too.
        #expect((600...602).contains(record.total))
        #expect(record.versions(from: 0, to: 100) == ["v1": record.total])
    }

    @Test func whatFailsIsCounted() async throws {
        let errors = try await load(mix: .plain(path: "/"), rate: 100, seconds: 1, misbehaviour: "errors-later")
        #expect(errors.failures == errors.total && errors.total >= 100)
        #expect(Set(errors.reasons.keys) == ["keepAlive: status 500", "close: status 500"])
        #expect(errors.latency(from: 0, to: 100).count == 0)

        // It ends in the middle: sessions are cut, answers that had begun are not whole, later ones are refused.
        let mix = LoadMix(shares: [(.keepAlive, 1), (.events, 1), (.webSocket, 1), (.slow, 1)], path: "/")
        let killed = try await load(mix: mix, rate: 40, seconds: 6) { server in
            try await Task.sleep(for: .milliseconds(5250))
            kill(server.processIdentifier, SIGKILL)
        }
        #expect(killed.cut >= 1)
        #expect(
            killed.reasons.keys.contains { $0.hasPrefix("events: ") } && killed.reasons.keys.contains { $0.hasPrefix("slow: ") }, "\(killed.reasons)")
        #expect(killed.failures + killed.cut < killed.total)
        // Also those that were about to end: a connection that was there is cut, one that never was failed.
        #expect(!killed.reasons.keys.contains { $0.hasPrefix("webSocket: ") && $0.contains("closed channel") }, "\(killed.reasons)")
    }

    /// While the server is frozen, requests go on being due, and have waited since then.
    @Test func waitingCountsFromTheMomentARequestWasDue() async throws {
        let record = try await load(mix: .plain(path: "/"), rate: 100, seconds: 4) { server in
            try await Task.sleep(for: .seconds(1))
            kill(server.processIdentifier, SIGSTOP)
            try await Task.sleep(for: .seconds(2))
            kill(server.processIdentifier, SIGCONT)
        }
        #expect(record.failures == 0, "\(record.reasons)")
        #expect((400...402).contains(record.total))
        // A quarter of all waited for a second or more; a client that waits itself would have had one such answer for each connection.
        #expect((record.latency(from: 0, to: 100).quantile(0.8) ?? 0) >= 1)
    }

    private func load(
        mix: LoadMix, rate: Int, seconds: Int, misbehaviour: String = "", meanwhile: @escaping @Sendable (Process) async throws -> Void = { _ in }
    ) async throws -> LoadRecord {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let port = try freePort()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/perl")
        process.arguments = [root.appendingPathComponent("examples/mix/bin/mix").path]
        process.environment = ["MIX_PORT": "\(port)", "MIX_VERSION": "v1", "MIX_MISBEHAVE": misbehaviour]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        defer {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        let client = LoadRun.makeClient()
        let record: LoadRecord
        do {
            try await ready(port)
            let run = LoadRun(
                target: LoadTarget(address: "127.0.0.1", port: port, host: "mix.localhost"), schedule: LoadSchedule(rate: rate), mix: mix,
                limit: .seconds(seconds), client: client)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await run.run() }
                group.addTask { try await meanwhile(process) }
                try await group.waitForAll()
            }
            record = run.record
        } catch {
            try await client.shutdown()
            throw error
        }
        try await client.shutdown()
        return record
    }

    private func ready(_ port: Int) async throws {
        for _ in 0..<200 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            let status = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
            if status == 0 { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("examples/mix does not listen: apt-get install perl-base")
    }
}
