/// Reads conmon's k8s-file format, `time stream F|P text`, in whatever chunks it comes; `P` is a line to be continued.
struct LogParser {
    static let longestLine = 64 << 10

    /// Behind the last entry that was read completely.
    private(set) var offset: Int64
    private(set) var lines: [LogLine] = []
    private var entry: [UInt8] = []
    private var partial: Partial?

    private struct Partial {
        var time: String
        var stream: LogLine.Stream
        var text: [UInt8]
    }

    init(offset: Int64) { self.offset = offset }

    /// Takes bytes in until they or the room for `limit` lines end; false when the room ended.
    mutating func feed(_ bytes: ArraySlice<UInt8>, limit: Int) -> Bool {
        var rest = bytes
        while let newline = rest.firstIndex(of: 0x0a) {
            if lines.count >= limit { return false }
            entry += rest[..<newline]
            rest = rest[(newline + 1)...]
            offset += Int64(entry.count) + 1
            take(entry[...], end: offset)
            entry.removeAll(keepingCapacity: true)
        }
        entry += rest
        if entry.count > Self.longestLine * 2 {
            // Not what conmon writes. Passed on in pieces, so that nobody can make this grow.
            offset += Int64(entry.count)
            lines.append(LogLine(offset: offset, time: "", stream: .stdout, text: String(decoding: entry, as: UTF8.self)))
            entry.removeAll(keepingCapacity: true)
        }
        return lines.count < limit
    }

    /// What an ended container left without a newline.
    mutating func finish() { flush(end: offset) }

    mutating func takeLines() -> [LogLine] {
        defer { lines = [] }
        return lines
    }

    private mutating func take(_ entry: ArraySlice<UInt8>, end: Int64) {
        let parts = entry.split(separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count >= 3, let stream = LogLine.Stream(rawValue: String(decoding: parts[1], as: UTF8.self)) else {
            flush(end: end - Int64(entry.count) - 1)
            lines.append(LogLine(offset: end, time: "", stream: .stdout, text: String(decoding: entry, as: UTF8.self)))
            return
        }
        // A line of the other stream came between: give out what there is, or resuming would lose or repeat it.
        if let partial, partial.stream != stream { flush(end: end - Int64(entry.count) - 1) }
        let text = parts.count == 4 ? parts[3] : []
        if partial == nil { partial = Partial(time: String(decoding: parts[0], as: UTF8.self), stream: stream, text: []) }
        partial?.text += text
        if parts[2].first != 0x50 || (partial?.text.count ?? 0) >= Self.longestLine { flush(end: end) }
    }

    private mutating func flush(end: Int64) {
        guard let piece = partial else { return }
        partial = nil
        lines.append(
            LogLine(offset: end, time: piece.time, stream: piece.stream, text: String(decoding: piece.text, as: UTF8.self)))
    }
}
