import OCIModel
import TarArchive

/// Looks for the values of secrets in the names and contents of an archive's entries while it is written, also where a value
/// crosses the border of two pieces. What is found ends the build; the error names the path, never the value.
///
/// Wu and Manber's search for many patterns: the two bytes that end a window of the shortest pattern's length say how far the
/// window may move. Most of the input is never looked at.
final class SecretSearch: TarObserver {
    /// Shorter forms would match by accident and are not looked for.
    static let shortest = 8
    private static let window = 8

    private let patterns: [[UInt8]]
    /// By the two bytes at the window's end: how far to move; 0 means look at `candidates`.
    private var shift: [UInt8]
    private var candidates: [Int: [Int]] = [:]
    private let longest: Int
    private var path = ""
    /// The last bytes of what was seen: a value may begin in them.
    private var tail: [UInt8] = []

    /// Nil when nothing is long enough to be looked for.
    init?(forms: [String]) {
        patterns = Set(forms).map { Array($0.utf8) }.filter { $0.count >= Self.shortest }
        guard !patterns.isEmpty else { return nil }
        longest = patterns.map(\.count).max() ?? 0
        shift = [UInt8](repeating: UInt8(Self.window - 1), count: 1 << 16)
        for (index, pattern) in patterns.enumerated() {
            for end in 1..<Self.window {
                let pair = Int(pattern[end - 1]) << 8 | Int(pattern[end])
                shift[pair] = min(shift[pair], UInt8(Self.window - 1 - end))
                if end == Self.window - 1 { candidates[pair, default: []].append(index) }
            }
        }
    }

    func begin(_ entry: TarEntry, index: Int) throws {
        path = entry.path
        tail.removeAll(keepingCapacity: true)
        if holds(entry.path) { throw found(in: "the name of ") }
        switch entry.content {
        case .symlink(let target), .hardlink(let target):
            if holds(target) { throw found(in: "the target of the link ") }
        default: break
        }
        for (name, value) in entry.xattrs where holds(name) || value.withUnsafeBytes({ match($0) }) != nil {
            throw found(in: "an extended attribute of ")
        }
    }

    func content(_ bytes: UnsafeRawBufferPointer) throws {
        // What crosses the border: the end of the last piece and the beginning of this one.
        if !tail.isEmpty {
            let joined = tail + bytes.prefix(longest - 1)
            if joined.withUnsafeBytes({ match($0) }) != nil { throw found(in: "") }
        }
        if match(bytes) != nil { throw found(in: "") }
        if bytes.count >= longest - 1 {
            tail = Array(bytes.suffix(longest - 1))
        } else {
            tail = Array((tail + bytes).suffix(longest - 1))
        }
    }

    func end() throws {}

    private func holds(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { match($0) } != nil }

    /// Index of a pattern that occurs in the bytes.
    private func match(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count >= Self.window else { return nil }
        return shift.withUnsafeBufferPointer { shift in
            var end = Self.window - 1
            while end < bytes.count {
                let pair = Int(bytes[end - 1]) << 8 | Int(bytes[end])
                let step = Int(shift[pair])
                if step > 0 {
                    end += step
                    continue
                }
                let start = end - Self.window + 1
                for index in candidates[pair] ?? [] where bytes[start...].starts(with: patterns[index]) { return index }
                end += 1
            }
            return nil
        }
    }

    /// A path that is itself the problem is shown without the value.
    private func redacted(_ path: String) -> String {
        patterns.sorted { $0.count > $1.count }.reduce(path) {
            $0.replacing(String(decoding: $1, as: UTF8.self), with: "***")
        }
    }

    private func found(in part: String) -> ImageBuilderError {
        ImageBuilderError(
            code: .secretFound, message: "\(part)/\(redacted(path)) holds the value of a secret: an image is no place for it",
            hint: "remove it before the build, and hand the secret to the service at run time")
    }
}
