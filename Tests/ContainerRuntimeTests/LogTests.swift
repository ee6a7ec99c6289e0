import ContainerRuntime
import Foundation
import SystemPackage
import Testing

@Suite struct LogTests {
    private let stamp = "2026-11-21T14:25:30.123456789+00:00"

    private func withLog(_ entries: [String], _ body: (LogReader, String) async throws -> Void) async throws {
        let path = NSTemporaryDirectory() + "slipway-log-\(UUID().uuidString)"
        try Data(entries.map { "\(stamp) \($0)\n" }.joined().utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(LogReader(file: FilePath(path)), path)
    }

    private func append(_ text: String, to path: String) throws {
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }

    @Test func joinsPartsAndResumes() async throws {
        try await withLog(["stdout F one", "stdout P two ", "stdout F and half", "stderr F ", "stdout F four five  six"]) { log, _ in
            let all = try await log.lines(from: 0, limit: 100)
            #expect(all.map(\.text) == ["one", "two and half", "", "four five  six"])
            #expect(all.map(\.stream) == [.stdout, .stdout, .stderr, .stdout])
            #expect(all[0].time == stamp)
            for (index, line) in all.enumerated() {
                #expect(try await log.lines(from: line.offset, limit: 100) == Array(all[(index + 1)...]))
            }
            #expect(try await log.lines(from: 0, limit: 2) == Array(all[..<2]))
            #expect(try await log.tail(2) == Array(all.suffix(2)))
            #expect(try await log.tail(100) == all)
            #expect(try await log.lines(from: 1 << 40, limit: 100) == all)
        }
    }

    @Test func joinsPartsWithTheOtherStreamBetween() async throws {
        try await withLog(["stdout P pro", "stderr F warning", "stdout F mpt", "stdout F next"]) { log, path in
            let all = try await log.lines(from: 0, limit: 100)
            #expect(all.map(\.text) == ["warning", "prompt", "next"])
            #expect(try await log.lines(from: all[1].offset, limit: 100).map(\.text) == ["next"])
            try append("\(stamp) stdout P later\n\(stamp) stderr F now\n", to: path)
            // A log that was quiet for some time gives out what it has.
            try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: 3600)], ofItemAtPath: path)
            #expect(try await log.lines(from: all[2].offset, limit: 100).isEmpty)
            // Three seconds of the log are too long to wait for the end of a line.
            try append("\(stamp.replacingOccurrences(of: ":30.", with: ":33.")) stderr F too late\n", to: path)
            #expect(try await log.lines(from: all[2].offset, limit: 100).map(\.text) == ["now", "too late", "later"])
        }
    }

    @Test func longLinesComeInPieces() async throws {
        let part = "stdout P " + String(repeating: "x", count: 8000)
        try await withLog(Array(repeating: part, count: 40) + ["stdout F end"]) { log, _ in
            let pieces = try await log.lines(from: 0, limit: 100)
            #expect(pieces.count > 1)
            #expect(pieces.allSatisfy { $0.text.utf8.count < 80_000 })
            #expect(pieces.map(\.text).joined().count == 40 * 8000 + 3)
        }
    }

    @Test func tailOfALargeLog() async throws {
        try await withLog((0..<50_000).map { "stdout F line \($0)" }) { log, _ in
            #expect(try await log.tail(3).map(\.text) == ["line 49997", "line 49998", "line 49999"])
            #expect(try await log.tail(4000).count == 4000)
            var (offset, count) = (Int64(0), 0)
            while case let lines = try await log.lines(from: offset, limit: 777), let last = lines.last {
                (offset, count) = (last.offset, count + lines.count)
            }
            #expect(count == 50_000)
        }
    }

    @Test func notThereIsEmpty() async throws {
        let log = LogReader(file: "/no/such/log")
        #expect(try await log.lines(from: 0, limit: 10).isEmpty)
        #expect(try await log.tail(10).isEmpty)
    }

    @Test func followsToTheEnd() async throws {
        try await withLog(["stdout F first"]) { log, path in
            let gate = Gate()
            var texts: [String] = []
            for try await line in log.follow(from: 0, until: { await gate.isOpen }) {
                texts.append(line.text)
                if line.text == "first" { try append("\(stamp) stderr F second\n", to: path) }
                if line.text == "second" {
                    try append("\(stamp) stdout P without newline\n", to: path)
                    await gate.open()
                }
            }
            #expect(texts == ["first", "second", "without newline"])
        }
    }

    @Test func followsAContainer() async throws {
        try await Machine.with { machine async throws in
            _ = try await machine.runtime.start(machine.spec("talk", "echo one; echo two >&2; seq 1 3000; printf end"))
            let runtime = machine.runtime
            var lines: [LogLine] = []
            let follow = runtime.log("talk").follow(from: 0) {
                guard case .exited? = try? await runtime.observe("talk")?.state else { return false }
                return true
            }
            for try await line in follow { lines.append(line) }
            #expect(lines.filter { $0.stream == .stderr }.map(\.text) == ["two"])
            let output: [String] = lines.compactMap { $0.stream == .stdout ? $0.text : nil }
            let expected: [String] = ["one"] + (1...3000).map { "\($0)" } + ["end"]
            let isSame = output == expected
            #expect(isSame, "\(output.count) lines, \(zip(output, expected).first { $0 != $1 }.debugDescription)")
        }
    }

    @Test func aFullLogBeginsAnew() async throws {
        try await Machine.with { machine async throws in
            var settings = machine.settings
            settings.logLimit = 64 << 10
            let runtime = ContainerRuntime(root: machine.folder.appending("containers"), settings: settings)
            _ = try await runtime.start(machine.spec("chatty", "seq 1 20000"))
            var last: LogLine?
            let follow = runtime.log("chatty").follow(from: 0) {
                guard case .exited? = try? await runtime.observe("chatty")?.state else { return false }
                return true
            }
            for try await line in follow { last = line }
            #expect(last?.text == "20000")
            #expect(try await runtime.log("chatty").tail(1).first?.text == "20000")
            let size = try FileManager.default.attributesOfItem(atPath: runtime.logFile("chatty").string)[.size] as? Int
            #expect(try #require(size) <= 128 << 10)
        }
    }

    @Test func waitingIsCancellable() async throws {
        try await Machine.with { machine async throws in
            _ = try await machine.runtime.start(machine.spec("long", "sleep 1000"))
            let task = Task { try await machine.runtime.waitForExit("long") }
            task.cancel()
            await #expect(throws: CancellationError.self) { _ = try await task.value }
            #expect(try await machine.runtime.observe("long")?.state == .running)
        }
    }

    private actor Gate {
        var isOpen = false
        func open() { isOpen = true }
    }
}
