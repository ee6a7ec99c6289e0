import ContainerRuntime
import Synchronization
import Testing

@testable import WebServer

/// A log in memory; its offsets are line numbers.
private final class Growing: Sendable {
    private let state = Mutex((lines: 0, isOver: false, reads: 0))
    var reads: Int { state.withLock { $0.reads } }

    func grow(by count: Int) { state.withLock { $0.lines += count } }
    func finish() { state.withLock { $0.isOver = true } }

    var source: LogFeed.Source {
        LogFeed.Source { after, limit in
            self.state.withLock { state in
                state.reads += 1
                guard after < state.lines else { return [] }
                return (Int(after)..<min(state.lines, Int(after) + limit)).map {
                    LogLine(offset: Int64($0) + 1, time: "t", stream: .stdout, text: "line \($0 + 1)")
                }
            }
        } isComplete: {
            self.state.withLock { $0.isOver }
        }
    }
}

@Suite struct LogFeedTests {
    /// The ids of all lines that a viewer gets until the end.
    private func watch(_ feed: LogFeed, from start: Int64 = 0, seen: @Sendable (Int64) -> Void = { _ in }) async throws -> [Int64] {
        var ids: [Int64] = []
        var offset = start
        while true {
            switch try await feed.next(after: offset) {
            case .piece(let piece):
                ids += piece.text.split(separator: "\n").compactMap { $0.hasPrefix("id: ") ? Int64($0.dropFirst(4)) : nil }
                offset = piece.offset
                seen(offset)
            case .nothingYet: continue
            case .end: return ids
            }
        }
    }

    @Test func aThousandViewersShareOneReader() async throws {
        let log = Growing()
        log.grow(by: 50)
        let feed = LogFeed(log.source, from: 0, pause: .milliseconds(2))
        let everything = try await withThrowingTaskGroup(of: [Int64].self) { group in
            for _ in 0..<1000 { group.addTask { try await watch(feed) } }
            group.addTask {
                for _ in 0..<20 {
                    log.grow(by: 40)
                    try await Task.sleep(for: .milliseconds(2))
                }
                log.finish()
                return []
            }
            return try await group.reduce(into: [[Int64]]()) { all, ids in if !ids.isEmpty { all.append(ids) } }
        }
        #expect(everything.count == 1000)
        let whole = (1...850).map(Int64.init)
        #expect(everything.allSatisfy { $0 == whole })
        // Alone, each would have read the file at least once for every growth.
        #expect(log.reads < 1000, "\(log.reads) reads")
    }

    @Test func whoIsFarBehindCatchesUp() async throws {
        let log = Growing()
        log.grow(by: 9_000)
        let feed = LogFeed(log.source, from: 0, pause: .milliseconds(1))
        // More than is kept has passed by.
        var offset: Int64 = 0
        while offset < 9_000, case .piece(let piece) = try await feed.next(after: offset) { offset = piece.offset }
        async let late = watch(feed, from: 17)
        log.grow(by: 10)
        log.finish()
        #expect(try await late == (18...9_010).map(Int64.init))
    }

    @Test func aReaderThatLeavesHandsOver() async throws {
        let log = Growing()
        log.grow(by: 1)
        let feed = LogFeed(log.source, from: 0, pause: .milliseconds(20))
        let first = Task { try await watch(feed) }
        let second = Task { try await watch(feed) }
        while log.reads < 3 { try await Task.sleep(for: .milliseconds(1)) }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        log.grow(by: 5)
        log.finish()
        #expect(try await second.value == (1...6).map(Int64.init))
    }

    @Test func silenceIsSaid() async throws {
        let log = Growing()
        let feed = LogFeed(log.source, from: 0, pause: .milliseconds(1))
        #expect(try await feed.next(after: 0, patience: .milliseconds(20)) == .nothingYet)
        log.finish()
        #expect(try await feed.next(after: 0) == .end)
    }

    @Test func feedsLiveWhileSomebodyLooks() {
        let feeds = LogFeeds()
        let log = Growing()
        var made = 0
        func feed(_ name: String) -> LogFeed {
            feeds.feed(name) {
                made += 1
                return LogFeed(log.source, from: 0)
            }
        }
        let one = feed("1/test")
        #expect(feed("1/test") === one && made == 1)
        withExtendedLifetime(one) {}
    }
}
