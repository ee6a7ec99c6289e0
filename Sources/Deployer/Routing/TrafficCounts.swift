import BlockingQueue
import CLinux
import DeliveryModel
import Glibc
import Synchronization
import SystemPackage

/// One request of a route, tried at one instance or, after failures, at several.
struct TrafficAttempt: Hashable {
    /// Id of the deployment the instance belongs to; nil when nobody knows it any more.
    var deployment: String?
    var failed: Bool
    /// Until the answer began; nil when there was none.
    var seconds: Double?
}

/// How a router writes its log.
protocol TrafficFormat {
    /// What a line says about the route `key`; empty for other routes, and for lines that are not as they should be.
    func attempts(_ line: ArraySlice<UInt8>, of key: String, history: [RouteInstances]) -> [TrafficAttempt]
}

/// Counts the lines of a ``TrafficLog``. What was counted is remembered, so each line is read once for each mark; nothing is
/// lost with that memory except time.
final class TrafficCounts: Sendable {
    private struct Question: Hashable {
        var key: String
        var mark: TrafficMark
    }

    fileprivate struct Answer {
        /// By number of the log: how far it has been read.
        var reached: [Int: Int64] = [:]
        var versions: [String: VersionTraffic] = [:]
    }

    private static let remembered = 64
    private static let longestLine = 64 << 10

    private let log: TrafficLog
    private let format: any TrafficFormat & Sendable
    let queue = BlockingQueue(label: "router log", width: 1)
    private let answers = Mutex<[Question: Answer]>([:])

    init(folder: FilePath, format: any TrafficFormat & Sendable) {
        log = TrafficLog(folder: folder)
        self.format = format
    }

    func mark() async throws -> TrafficMark { try await queue.run { [log] _ in try log.mark() } }

    /// Returns whether the router has to open its logs anew.
    func rotate(limit: Int64) async throws -> Bool { try await queue.run { [log] _ in try log.rotate(limit: limit) } }

    /// See ``TrafficLog/trim(limit:also:)``.
    func trim(limit: Int64, also other: String? = nil) async throws {
        try await queue.run { [log] _ in try log.trim(limit: limit, also: other) }
    }

    /// - Parameter table: asked when the end of the log is known, so it knows every generation that wrote.
    func count(key: String, since mark: TrafficMark, table: @escaping @Sendable () throws -> RouteTable) async throws -> [VersionTraffic] {
        try await queue.run { [self] cancellation in
            let question = Question(key: key, mark: mark)
            // One body runs at a time, so nobody counts the same meanwhile.
            var answer = answers.withLock { $0[question] } ?? Answer()
            let files = try log.open(from: mark.log)
            defer { for (_, file) in files { try? file.close() } }
            let ends = try files.map { try $0.file.seek(offset: 0, from: .end) }
            let table = try table()
            let history = table.history[key] ?? []
            for ((number, file), end) in zip(files, ends) {
                let start = answer.reached[number] ?? (number == mark.log ? mark.offset : 0)
                answer.reached[number] = try lines(of: file, from: start, to: end) { line in
                    if cancellation.isCancelled { throw CancellationError() }
                    for attempt in format.attempts(line, of: key, history: history) { answer.add(attempt) }
                }
            }
            answers.withLock { [answer] answers in
                if answers.count >= Self.remembered, answers[question] == nil { answers.removeAll() }
                answers[question] = answer
            }
            return answer.versions(of: table.routes[key])
        }
    }

    /// Hands over each whole line; returns the offset behind the last one.
    private func lines(
        of file: FileDescriptor, from start: Int64, to end: Int64, _ body: (ArraySlice<UInt8>) throws -> Void
    ) throws -> Int64 {
        var chunk = [UInt8](repeating: 0, count: 256 << 10)
        var kept = 0
        // What was given back is passed over.
        let data = lseek(file.rawValue, off_t(start), clinux_SEEK_DATA)
        var offset = data < 0 ? start : max(start, Int64(data))
        while offset < end {
            let wanted = min(chunk.count - kept, Int(end - offset))
            let count = try chunk.withUnsafeMutableBytes { buffer in
                try file.read(fromAbsoluteOffset: offset, into: .init(rebasing: buffer[kept..<kept + wanted]))
            }
            if count == 0 { break }
            offset += Int64(count)
            let filled = kept + count
            var begin = 0
            while let newline = Self.newline(in: chunk, begin, filled) {
                try body(chunk[begin..<newline])
                begin = newline + 1
            }
            kept = filled - begin
            // No line of ours is as long: what has no end is dropped.
            if kept > Self.longestLine { (begin, kept) = (filled, 0) }
            chunk.withUnsafeMutableBytes { buffer in
                guard kept > 0, begin > 0, let base = buffer.baseAddress else { return }
                memmove(base, base + begin, kept)
            }
        }
        return offset - Int64(kept)
    }

    private static func newline(in chunk: [UInt8], _ begin: Int, _ end: Int) -> Int? {
        chunk.withUnsafeBytes { buffer in
            guard begin < end, let base = buffer.baseAddress, let found = memchr(base + begin, 10, end - begin) else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }
}

extension TrafficCounts.Answer {
    fileprivate mutating func add(_ attempt: TrafficAttempt) {
        guard let deployment = attempt.deployment else { return }
        versions[deployment, default: VersionTraffic(deployment: deployment)].requests += 1
        if attempt.failed { versions[deployment]?.errors += 1 }
        if let seconds = attempt.seconds { versions[deployment]?.latency.add(seconds: seconds) }
    }

    fileprivate func versions(of route: Route?) -> [VersionTraffic] {
        let current = (route.map { [$0.deployment] } ?? []) + (route?.previous.map { [$0.deployment] } ?? [])
        let earlier = versions.keys.filter { !current.contains($0) }.sorted()
        return (current + earlier).map { versions[$0] ?? VersionTraffic(deployment: $0) }
    }
}
