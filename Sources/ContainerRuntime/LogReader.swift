public import BlockingQueue
public import SystemPackage

/// Reads a container's log while it grows, and when it has been compressed (see ``LogFile``): offsets are those of the text,
/// whichever form it has. Memory is bounded by what is asked for, not by the log.
public struct LogReader: Sendable {
    static let chunk = 64 << 10
    /// Bytes that one call reads at most.
    static let most = 4 << 20

    let file: FilePath
    let queue: BlockingQueue

    /// - Parameter queue: where reading happens; nil: a queue of its own.
    public init(file: FilePath, queue: BlockingQueue? = nil) {
        self.file = file
        self.queue = queue ?? BlockingQueue(label: "log", width: 1)
    }

    /// At most `limit` complete lines from `offset` on: 0, or the `offset` of a line read before. Fewer, or none, when
    /// that is all there is (or when it is much: go on with the last line's offset). Lines whose parts were written
    /// among each other come together, with one offset, even when that makes a few more than `limit`. When the log has
    /// begun anew since, reads from its beginning. No file yet is an empty log.
    public func lines(from offset: Int64, limit: Int) async throws -> [LogLine] {
        try await queue.run { _ in try read(from: offset, limit: limit, final: false) }
    }

    /// The last `n` lines, at most 10,000, of what has been written.
    public func tail(_ n: Int) async throws -> [LogLine] {
        try await queue.run { _ in try last(min(max(n, 0), 10_000)) }
    }

    /// All lines from `offset` on, as they come, until `finished` says that nothing more will be written; then what is
    /// left, and the end. Lines are read as they are consumed. Cancelling the consuming task ends it.
    public func follow(
        from offset: Int64, until finished: @escaping @Sendable () async -> Bool
    ) -> AsyncThrowingStream<LogLine, any Error> {
        let follower = LogFollower(reader: self, offset: offset, finished: finished)
        return AsyncThrowingStream { try await follower.next() }
    }

    func read(from start: Int64, limit: Int, final: Bool) throws(ContainerError) -> [LogLine] {
        guard limit > 0 else { return [] }
        do {
            guard let log = try LogBytes.open(file) else { return [] }
            let size = try log.size
            let begin = start < 0 || start > size ? 0 : start
            var parser = LogParser(offset: begin)
            var position = begin
            var buffer = [UInt8](repeating: 0, count: Self.chunk)
            while position - begin < Self.most || parser.lines.isEmpty {
                let count = try buffer.withUnsafeMutableBytes { try log.read(at: position, into: $0) }
                if count == 0 {
                    if final || parser.holdsBack && log.isIdle { parser.finish() }
                    break
                }
                position += Int64(count)
                if !parser.feed(buffer[..<count], limit: limit) { break }
            }
            return parser.takeLines()
        } catch { throw ContainerError.file("read", file, error) }
    }
}

/// Where one reader of ``LogReader/follow(from:until:)`` is.
private actor LogFollower {
    private let reader: LogReader
    private let finished: @Sendable () async -> Bool
    private var offset: Int64
    private var ready: ArraySlice<LogLine> = []
    private var ended = false

    init(reader: LogReader, offset: Int64, finished: @escaping @Sendable () async -> Bool) {
        self.reader = reader
        self.offset = offset
        self.finished = finished
    }

    func next() async throws -> LogLine? {
        var pause = Duration.milliseconds(5)
        while true {
            if let line = ready.popFirst() { return line }
            // Asked before reading: what was written before the end is then read for sure.
            if !ended { ended = await finished() }
            let (from, final, reader) = (offset, ended, reader)
            let lines = try await reader.queue.run { _ in try reader.read(from: from, limit: 256, final: final) }
            if let last = lines.last {
                offset = last.offset
                ready = lines[...]
                continue
            }
            if final { return nil }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(50))
        }
    }
}
