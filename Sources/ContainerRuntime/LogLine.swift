/// One line a container has written.
public struct LogLine: Sendable, Hashable, Codable {
    public enum Stream: String, Sendable, Hashable, Codable {
        case stdout, stderr
    }

    /// Byte offset behind this line in the log file: begin there to read on.
    public var offset: Int64
    /// RFC 3339, with nanoseconds.
    public var time: String
    public var stream: Stream
    /// Without its newline; what is not UTF-8 is replaced. A line of more than 64 KiB comes in pieces.
    public var text: String

    public init(offset: Int64, time: String, stream: Stream, text: String) {
        self.offset = offset
        self.time = time
        self.stream = stream
        self.text = text
    }
}
