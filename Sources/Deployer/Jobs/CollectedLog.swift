import BlockingQueue
import FoundationEssentials
import SystemPackage

/// The log of a container elsewhere as a file of ours, in conmon's k8s-file format, which grows by what is new since the last look.
/// A line that was cut off by a crash is taken back first.
struct CollectedLog {
    let file: FilePath

    private static let queue = BlockingQueue(label: "collected logs", width: 1)
    private static let chunk = 128 << 10

    /// One line, or a part of one.
    struct Entry: Hashable, Sendable {
        /// RFC 3339, in UTC, with nine digits of a second: times compare as text.
        var time: String
        var stream: String
        var text: [UInt8]
        var isWhole: Bool
    }

    /// The time of its last entry; nil while it has none.
    func end() async throws -> String? {
        let file = file
        return try await Self.queue.run { _ in
            let log = try Self.open(file)
            return try log.closeAfter {
                let size = try log.seek(offset: 0, from: .end)
                var start = size
                var tail: [UInt8] = []
                // An entry is one line of at most 16 KiB, as the daemon cuts them.
                while start > 0, tail.count(where: { $0 == 0x0a }) < 2 {
                    let length = min(start, Int64(Self.chunk))
                    start -= length
                    var bytes = [UInt8](repeating: 0, count: Int(length))
                    let count = try bytes.withUnsafeMutableBytes { try log.read(fromAbsoluteOffset: start, into: $0) }
                    tail = bytes[..<count] + tail
                }
                guard let last = tail.lastIndex(of: 0x0a) else {
                    try log.resize(to: 0)
                    return nil
                }
                try log.resize(to: start + Int64(last) + 1)
                let line = tail[..<last].split(separator: 0x0a, omittingEmptySubsequences: false).last ?? []
                return String(decoding: line.prefix { $0 != 0x20 }, as: UTF8.self)
            }
        }
    }

    func append(_ entries: [Entry]) async throws {
        if entries.isEmpty { return }
        let file = file
        try await Self.queue.run { _ in
            var bytes: [UInt8] = []
            for entry in entries { bytes += Array("\(entry.time) \(entry.stream) \(entry.isWhole ? "F" : "P") ".utf8) + entry.text + [0x0a] }
            let log = try Self.open(file)
            try log.closeAfter {
                _ = try log.seek(offset: 0, from: .end)
                _ = try log.writeAll(bytes)
            }
        }
    }

    private static func open(_ file: FilePath) throws -> FileDescriptor {
        try FileManager.default.createDirectory(atPath: file.removingLastComponent().string, withIntermediateDirectories: true)
        return try FileDescriptor.open(
            file, .readWrite, options: [.create, .closeOnExec], permissions: [.ownerReadWrite, .groupRead, .otherRead])
    }
}

extension DockerLog {
    /// What was written after `end`, of an answer with timestamps.
    static func entries(_ bytes: [UInt8], after end: String?) -> [CollectedLog.Entry] {
        var entries: [CollectedLog.Entry] = []
        var rest = bytes[...]
        while rest.count >= 8 {
            let stream = rest.first == 2 ? "stderr" : "stdout"
            let length = rest.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | Int($1) }
            let frame = rest.dropFirst(8).prefix(length)
            rest = rest.dropFirst(8).dropFirst(length)
            guard let space = frame.firstIndex(of: 0x20) else { continue }
            let time = String(decoding: frame[..<space], as: UTF8.self)
            if let end, time <= end { continue }
            let text = frame[(space + 1)...]
            let isWhole = text.last == 0x0a
            entries.append(.init(time: time, stream: stream, text: Array(isWhole ? text.dropLast() : text), isWhole: isWhole))
        }
        return entries
    }

    /// As the daemon takes it for `since`: seconds since 1970 with nine digits behind the point.
    static func since(_ time: String) -> String? {
        let parts = time.split(separator: ".", maxSplits: 1)
        guard parts.count == 2, let date = try? Date("\(parts[0])Z", strategy: .iso8601) else { return nil }
        return "\(Int64(date.timeIntervalSince1970)).\(parts[1].prefix { $0.isNumber })"
    }
}
