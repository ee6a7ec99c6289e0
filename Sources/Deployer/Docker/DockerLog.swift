/// Reads what a container without a terminal wrote: frames of a stream's number, three zeros, a length of four bytes and as much
/// text (Engine API, "Attach to a container", stream format).
enum DockerLog {
    static func lines(_ bytes: [UInt8], last: Int) -> [String] {
        let text = text(bytes) { _ in true }
        return text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast(
            text.last == UInt8(ascii: "\n") || text.isEmpty ? 1 : 0
        )
        .suffix(max(0, last)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The text of the streams that are wanted: 1 is standard output, 2 standard error.
    static func text(_ bytes: [UInt8], of isWanted: (UInt8) -> Bool) -> [UInt8] {
        var text: [UInt8] = []
        var rest = bytes[...]
        while rest.count >= 8, let stream = rest.first {
            let length = rest.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | Int($1) }
            if isWanted(stream) { text += rest.dropFirst(8).prefix(length) }
            rest = rest.dropFirst(8).dropFirst(length)
        }
        return text
    }
}
