/// Reads conmon's k8s-file format, `time stream F|P text`, in whatever chunks it comes; `P` is a line to be continued.
///
/// The parts of a line of one stream may have lines of the other between them. Those are held back until the line is
/// whole, and all of them get the offset behind the last: resuming there neither loses nor repeats anything.
struct LogParser {
    static let longestLine = 64 << 10
    /// Lines that may wait for an unfinished one, and for how many seconds of the log; then it is given out in pieces.
    private static let mostHeld = 256
    private static let longestHold = 2

    /// Behind the last entry that was read completely.
    private(set) var offset: Int64
    private(set) var lines: [LogLine] = []
    private var entry: [UInt8] = []
    private var held: [LogLine] = []
    private var partials: [LogLine.Stream: Partial] = [:]

    private struct Partial {
        var time: String
        var text: [UInt8]
    }

    init(offset: Int64) { self.offset = offset }

    /// Complete lines wait for an unfinished one.
    var holdsBack: Bool { !held.isEmpty }

    /// Takes bytes in until they or the room for `limit` lines end; false when the room ended.
    mutating func feed(_ bytes: ArraySlice<UInt8>, limit: Int) -> Bool {
        var rest = bytes
        while let newline = rest.firstIndex(of: 0x0a) {
            if lines.count >= limit { return false }
            entry += rest[..<newline]
            rest = rest[(newline + 1)...]
            offset += Int64(entry.count) + 1
            take(entry[...])
            entry.removeAll(keepingCapacity: true)
        }
        entry += rest
        if entry.count > Self.longestLine * 2 {
            // Not what conmon writes. Passed on in pieces, so that nobody can make this grow.
            offset += Int64(entry.count)
            takeForeign(entry[...])
            entry.removeAll(keepingCapacity: true)
        }
        return lines.count < limit
    }

    /// Gives out what is unfinished as it is: nothing more will come, or not soon.
    mutating func finish() {
        for stream in [LogLine.Stream.stdout, .stderr] { complete(stream) }
        release()
    }

    mutating func takeLines() -> [LogLine] {
        defer { lines = [] }
        return lines
    }

    private mutating func take(_ entry: ArraySlice<UInt8>) {
        let parts = entry.split(separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count >= 3, let stream = LogLine.Stream(rawValue: String(decoding: parts[1], as: UTF8.self)) else {
            return takeForeign(entry)
        }
        let time = String(decoding: parts[0], as: UTF8.self)
        var line = partials[stream] ?? Partial(time: time, text: [])
        partials[stream] = nil
        if parts.count == 4 { line.text += parts[3] }
        let isWhole = parts[2].first != 0x50 || line.text.count >= Self.longestLine
        partials[stream] = line
        if isWhole { complete(stream) }
        if partials.isEmpty {
            release()
        } else if held.count >= Self.mostHeld || held.contains(where: { seconds(from: $0.time, to: time) >= Self.longestHold }) {
            finish()
        }
    }

    private mutating func takeForeign(_ text: ArraySlice<UInt8>) {
        finish()
        held.append(LogLine(offset: offset, time: "", stream: .stdout, text: String(decoding: text, as: UTF8.self)))
        release()
    }

    private mutating func complete(_ stream: LogLine.Stream) {
        guard let line = partials.removeValue(forKey: stream) else { return }
        held.append(LogLine(offset: offset, time: line.time, stream: stream, text: String(decoding: line.text, as: UTF8.self)))
    }

    private mutating func release() {
        for var line in held {
            line.offset = offset
            lines.append(line)
        }
        held.removeAll(keepingCapacity: true)
    }

    /// Between two RFC 3339 times, over midnight too; 0 when either is something else.
    private func seconds(from start: String, to end: String) -> Int {
        func secondOfDay(_ time: String) -> Int? {
            let digits = time.dropFirst(11).prefix(8).split(separator: ":").compactMap { Int($0) }
            return digits.count == 3 ? digits[0] * 3600 + digits[1] * 60 + digits[2] : nil
        }
        guard let first = secondOfDay(start), let last = secondOfDay(end) else { return 0 }
        return (last - first + 86400) % 86400
    }
}
