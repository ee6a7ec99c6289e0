import ContainerRuntime
import FoundationEssentials
import PipelineEngine
import Synchronization

/// One log for any number of viewers: whoever finds nothing new reads for all, the others wait for what that brings. The file
/// is asked ten times a second while somebody looks, however many look.
///
/// The last lines are kept in memory; a viewer that is further behind reads the file for itself until it has caught up.
final class LogFeed: Sendable {
    /// Where the lines come from.
    struct Source: Sendable {
        var lines: @Sendable (_ after: Int64, _ limit: Int) async throws -> [LogLine]
        /// Whether no more will be written. Asked before the lines are read, so that none is missed.
        var isComplete: @Sendable () async throws -> Bool
    }

    /// Some lines as server-sent events.
    struct Piece: Sendable, Equatable {
        var text: String
        /// Behind the last of them: ask from here next time.
        var offset: Int64
    }

    enum Answer: Sendable, Equatable {
        case piece(Piece)
        /// Nothing was written for a while.
        case nothingYet
        case end
    }

    private struct Entry {
        let text: String
        let offset: Int64
    }

    private struct State {
        /// Where ``entries`` begin.
        var start: Int64
        var entries: [Entry] = []
        var isReading = false
        var isComplete = false
        var end: Int64 { entries.last?.offset ?? start }
    }

    private static let mostKept = 2_000
    private static let mostAtOnce = 500

    private let source: Source
    private let pause: Duration
    private let state: Mutex<State>
    private let bell = Bell()

    /// - Parameters:
    ///   - start: where the first viewer begins.
    ///   - pause: between two looks at a log that does not grow.
    init(_ source: Source, from start: Int64, pause: Duration = .milliseconds(100)) {
        self.source = source
        self.pause = pause
        state = Mutex(State(start: start))
    }

    /// What comes after `offset`; waits for it, at most for `patience`.
    func next(after offset: Int64, patience: Duration = .seconds(5)) async throws -> Answer {
        let deadline = ContinuousClock.now + patience
        while true {
            try Task.checkCancellation()
            let heard = bell.count
            switch look(after: offset) {
            case .answer(let answer): return answer
            case .behind:
                let lines = try await source.lines(offset, Self.mostAtOnce)
                // The file is shorter than the viewer believes: it goes on with what is written next.
                guard let last = lines.last else { return .piece(Piece(text: "", offset: end)) }
                return .piece(Piece(text: try lines.map(Self.event).joined(), offset: last.offset))
            case .read:
                do { try await read() } catch {
                    stopReading()
                    throw error
                }
                if ContinuousClock.now >= deadline, end <= offset, !isComplete { return .nothingYet }
            case .wait:
                if ContinuousClock.now >= deadline { return .nothingYet }
                await bell.wait(after: heard, atMost: deadline - .now)
            }
        }
    }

    private enum Next {
        case answer(Answer)
        /// The viewer wants what is not in memory.
        case behind
        /// This viewer is to read for all.
        case read
        case wait
    }

    private func look(after offset: Int64) -> Next {
        state.withLock { state in
            if offset < state.start { return .behind }
            let first = state.entries.firstIndex { $0.offset > offset } ?? state.entries.endIndex
            if first < state.entries.endIndex {
                var last = min(first + Self.mostAtOnce, state.entries.endIndex)
                // Lines of one offset stay together.
                while last < state.entries.endIndex, state.entries[last].offset == state.entries[last - 1].offset { last += 1 }
                let chosen = state.entries[first..<last]
                return .answer(.piece(Piece(text: chosen.map(\.text).joined(), offset: state.entries[last - 1].offset)))
            }
            if state.isComplete { return .answer(.end) }
            if state.isReading { return .wait }
            state.isReading = true
            return .read
        }
    }

    private var end: Int64 { state.withLock { $0.end } }
    private var isComplete: Bool { state.withLock { $0.isComplete } }

    private func read() async throws {
        let isComplete = try await source.isComplete()
        let lines = try await source.lines(end, Self.mostAtOnce)
        let entries = try lines.map { Entry(text: try Self.event($0), offset: $0.offset) }
        if entries.isEmpty, !isComplete { try await Task.sleep(for: pause) }
        state.withLock { state in
            if let first = entries.first, first.offset <= state.end {
                // The log has begun anew.
                state.entries = []
                state.start = 0
            }
            state.entries += entries
            if state.entries.count > Self.mostKept {
                var surplus = state.entries.count - Self.mostKept
                while surplus < state.entries.count, state.entries[surplus].offset == state.entries[surplus - 1].offset { surplus += 1 }
                state.start = state.entries[surplus - 1].offset
                state.entries.removeFirst(surplus)
            }
            if entries.isEmpty { state.isComplete = isComplete }
        }
        stopReading()
    }

    /// Another viewer may read now, also when this one has gone.
    private func stopReading() {
        state.withLock { $0.isReading = false }
        bell.ring()
    }

    private struct LineEvent: Encodable {
        var html: String
        var time: String
        var stream: String
    }

    /// WHATWG HTML, 9.2: the id is the byte offset behind the line.
    private static func event(_ line: LogLine) throws -> String {
        let event = LineEvent(html: AnsiHTML.line(line.text), time: line.time, stream: line.stream.rawValue)
        return "id: \(line.offset)\nevent: line\ndata: \(String(decoding: try JSONEncoder().encode(event), as: UTF8.self))\n\n"
    }
}

/// The feeds that somebody looks at.
final class LogFeeds: Sendable {
    private struct WeakFeed { weak var feed: LogFeed? }

    private let feeds = Mutex<[String: WeakFeed]>([:])

    /// The feed of that name; made when nobody looks at it yet.
    func feed(_ name: String, make: () -> LogFeed) -> LogFeed {
        feeds.withLock { feeds in
            if let feed = feeds[name]?.feed { return feed }
            feeds = feeds.filter { $0.value.feed != nil }
            let feed = make()
            feeds[name] = WeakFeed(feed: feed)
            return feed
        }
    }
}
