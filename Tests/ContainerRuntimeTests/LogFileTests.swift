import ContainerRuntime
import Foundation
import SystemPackage
import Testing

/// Logs that are compressed, whole and half-way.
@Suite struct LogFileTests {
    private func with(lines: Int, _ body: (LogFile) async throws -> Void) async throws {
        let folder = FilePath(NSTemporaryDirectory()).appending("slipway-logs-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: folder.string, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder.string) }
        let log = LogFile(folder.appending("test.log"))
        let text = (0..<lines).map { "2026-11-21T14:25:30.123456789+00:00 std\($0 % 7 == 0 ? "err" : "out") F line \($0) äöü\n" }
        try Data(text.joined().utf8).write(to: URL(filePath: log.path.string))
        try await body(log)
    }

    private func isThere(_ path: FilePath) -> Bool { FileManager.default.fileExists(atPath: path.string) }

    private func all(_ log: LogFile) async throws -> [LogLine] {
        let reader = LogReader(file: log.path)
        var lines: [LogLine] = []
        while true {
            let next = try await reader.lines(from: lines.last?.offset ?? 0, limit: 3000)
            if next.isEmpty { return lines }
            lines += next
        }
    }

    @Test func offsetsAndLinesStayWhatTheyWere() async throws {
        try await with(lines: 20_000) { log in
            let reader = LogReader(file: log.path)
            let before = try await all(log), tail = try await reader.tail(700), modified = log.modified
            #expect(before.count == 20_000)
            try log.compress()
            #expect(!isThere(log.path) && isThere(log.compressed) && log.exists && log.modified == modified)
            #expect(try await all(log) == before)
            #expect(try await reader.tail(700) == tail)
            #expect(try await reader.tail(10_000) == Array(before.suffix(10_000)))
            for index in [0, 4321, 19_998] {
                #expect(try await reader.lines(from: before[index].offset, limit: 1) == [before[index + 1]])
            }
            #expect(try await reader.lines(from: before[19_999].offset, limit: 10).isEmpty)
            try log.compress()
            #expect(try await all(log) == before)
        }
    }

    @Test func aViewerThatFollowsSeesEveryLineOnceWhileItIsCompressed() async throws {
        try await with(lines: 9_000) { log in
            var seen: [String] = []
            for try await line in LogReader(file: log.path).follow(from: 0, until: { true }) {
                seen.append(line.text)
                if seen.count == 2_000 { try log.compress() }
            }
            #expect(seen == (0..<9_000).map { "line \($0) äöü" })
            #expect(!isThere(log.path))
        }
    }

    @Test func killedAnywhereNothingIsLostOrDoubled() async throws {
        try await with(lines: 9_000) { log in
            let before = try await all(log)
            let plain = try Data(contentsOf: URL(filePath: log.path.string))
            let part = FilePath(log.compressed.string + ".part")
            // In the middle of writing, with half of it there.
            try log.compress()
            let packed = try Data(contentsOf: URL(filePath: log.compressed.string))
            try FileManager.default.removeItem(atPath: log.compressed.string)
            try plain.write(to: URL(filePath: log.path.string))
            try packed.prefix(packed.count / 2).write(to: URL(filePath: part.string))
            #expect(try await all(log) == before)
            try log.compress()
            #expect(try await all(log) == before)
            #expect(!isThere(part) && !isThere(log.path))
            // After the rename, before the plain file went.
            try plain.write(to: URL(filePath: log.path.string))
            #expect(try await all(log) == before)
            try log.compress()
            #expect(try await all(log) == before)
            #expect(!isThere(log.path))
        }
    }

    @Test func whatEndsTheWorkLeavesThePlainFile() async throws {
        try await with(lines: 30_000) { log in
            let before = try await all(log)
            var asked = 0
            #expect(throws: CancellationError.self) {
                try log.compress {
                    asked += 1
                    if asked == 3 { throw CancellationError() }
                }
            }
            #expect(try await all(log) == before)
            let names = try FileManager.default.contentsOfDirectory(atPath: log.path.removingLastComponent().string)
            #expect(names == ["test.log"])
        }
    }

    @Test func aKeptLogHasTheFormOfItsOriginal() async throws {
        try await with(lines: 5_000) { log in
            let before = try await all(log)
            let first = LogFile(log.path.removingLastComponent().appending("a").appending("test.log"))
            try log.keep(as: first)
            try log.compress()
            let second = LogFile(log.path.removingLastComponent().appending("b").appending("test.log"))
            try log.keep(as: second)
            try log.keep(as: second)
            for name in [log.path, log.compressed] { try? FileManager.default.removeItem(atPath: name.string) }
            #expect(!log.exists && isThere(first.path) && isThere(second.compressed))
            #expect(try await all(first) == before)
            #expect(try await all(second) == before)
            try log.keep(as: LogFile(log.path.removingLastComponent().appending("c.log")))
        }
    }

    @Test func aDamagedOneIsAnError() async throws {
        try await with(lines: 5_000) { log in
            try log.compress()
            let packed = try Data(contentsOf: URL(filePath: log.compressed.string))
            try packed.prefix(packed.count - 5).write(to: URL(filePath: log.compressed.string))
            let error = await #expect(throws: ContainerError.self) { try await LogReader(file: log.path).tail(10) }
            #expect(error?.description.contains("test.log") == true && error?.description.contains("damaged") == true)
        }
    }
}
