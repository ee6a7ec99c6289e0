extension LogReader {
    /// Reads backwards until `count` lines are sure to be there, at most 64 MiB.
    func last(_ count: Int) throws(ContainerError) -> [LogLine] {
        guard count > 0 else { return [] }
        do {
            guard let log = try LogBytes.open(file) else { return [] }
            let size = try log.size
            var window = Int64(Self.chunk)
            while true {
                let begin = max(0, size - window)
                let lines = try scan(log, from: begin, to: size, keeping: count)
                // The first line may be the rest of one that began before.
                if begin == 0 || lines.count > count || window >= 64 << 20 { return Array(lines.suffix(count)) }
                window *= 4
            }
        } catch { throw ContainerError.file("read", file, error) }
    }

    /// The last `count` + 1 lines between two offsets.
    private func scan(_ log: LogBytes, from begin: Int64, to end: Int64, keeping count: Int) throws -> [LogLine] {
        var position = begin
        var buffer = [UInt8](repeating: 0, count: Self.chunk)
        var parser: LogParser?
        var kept: [LogLine] = []
        while position < end {
            let room = Int(min(Int64(buffer.count), end - position))
            let got = try buffer.withUnsafeMutableBytes {
                try log.read(at: position, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<room]))
            }
            if got == 0 { break }
            var bytes = buffer[..<got]
            if parser == nil {
                if begin > 0 {
                    guard let newline = bytes.firstIndex(of: 0x0a) else {
                        position += Int64(got)
                        continue
                    }
                    bytes = bytes[(newline + 1)...]
                    parser = LogParser(offset: position + Int64(newline) + 1)
                } else {
                    parser = LogParser(offset: 0)
                }
            }
            position += Int64(got)
            _ = parser?.feed(bytes, limit: .max)
            kept += parser?.takeLines() ?? []
            if kept.count > 2 * count + 2 { kept.removeFirst(kept.count - count - 1) }
        }
        parser?.finish()
        kept += parser?.takeLines() ?? []
        return Array(kept.suffix(count + 1))
    }
}
