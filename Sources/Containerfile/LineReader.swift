/// Joins the lines of a file to instructions and takes the bodies of heredocs.
struct LineReader {
    /// One instruction: continued lines joined, comments and empty lines inside it left out.
    struct LogicalLine {
        let fragment: Fragment
        let location: SourceRange
        /// The numbers of empty lines inside.
        let emptyLines: [Int]
    }

    let text: SourceText
    private(set) var directives = Directives()
    private(set) var directiveLines: [String: Int] = [:]
    private(set) var warnings: [Diagnostic] = []
    private let lines: [PhysicalLine]
    private var next = 0

    init(text: SourceText, lines: [PhysicalLine]) {
        self.text = text
        self.lines = lines
    }

    private var escape: Unicode.Scalar { Unicode.Scalar(directives.escape.rawValue) }

    /// Reads the directives at the head of the file.
    mutating func readDirectives() throws(Mistake) {
        var isHead = true
        var index = 0
        while index < lines.count {
            let line = lines[index]
            guard line.isComment || line.isBlank else { break }
            if let (key, value, column) = Self.directive(in: line) {
                if isHead {
                    try set(key, value, line: index + 1, column: column)
                    next = index + 1
                } else {
                    let message = "'\(key)' is a comment here: a directive stands above all other lines"
                    warnings.append(
                        text.diagnostic(
                            .warning, line: index + 1, column: 1, message,
                            suggestion: "move it to the top, above comments and empty lines"))
                }
            } else {
                isHead = false
            }
            index += 1
        }
    }

    /// `# key = value` with a key that is known.
    private static func directive(in line: PhysicalLine) -> (key: String, value: String, column: Int)? {
        let scalars = line.content
        guard var index = scalars.firstIndex(of: "#") else { return nil }
        index += 1
        while index < scalars.endIndex, scalars[index].isBlank { index += 1 }
        guard let equals = scalars[index...].firstIndex(of: "=") else { return nil }
        var end = equals
        while end > index, scalars[end - 1].isBlank { end -= 1 }
        let key = String(String.UnicodeScalarView(scalars[index..<end])).lowercased()
        guard ["syntax", "escape", "check"].contains(key) else { return nil }
        var start = equals + 1, last = scalars.endIndex
        while start < last, scalars[start].isBlank { start += 1 }
        while last > start, scalars[last - 1].isBlank { last -= 1 }
        guard start < last else { return nil }
        return (key, String(String.UnicodeScalarView(scalars[start..<last])), start - scalars.startIndex + 1)
    }

    private mutating func set(_ key: String, _ value: String, line: Int, column: Int) throws(Mistake) {
        func mistake(_ code: ContainerfileError.Code, _ message: String, _ suggestion: String) -> Mistake {
            Mistake(code: code, diagnostic: text.diagnostic(line: line, column: column, message, suggestion: suggestion))
        }
        guard directiveLines.updateValue(line, forKey: key) == nil else {
            throw mistake(.syntax, "the directive '\(key)' is given twice", "keep one of them")
        }
        switch key {
        case "escape":
            guard value.utf8.count == 1, let byte = value.utf8.first, let escape = Escape(rawValue: byte) else {
                throw mistake(
                    .invalid, "\(SourceText.quoted(value)) cannot be the escape character", "use \\ or `")
            }
            directives.escape = escape
        case "syntax":
            guard Self.isStandardFrontend(value) else {
                throw mistake(
                    .unsupported, "the frontend \(SourceText.quoted(value)) is not run here",
                    "only docker/dockerfile and docker/dockerfile-upstream are known, and built in")
            }
            directives.syntax = value
        default: directives.check = value
        }
    }

    /// `docker/dockerfile` and `-upstream`, with any tag or digest.
    private static func isStandardFrontend(_ value: String) -> Bool {
        guard var name = value.split(separator: " ").first else { return false }
        name = name.prefix { $0 != "@" }
        for host in ["docker.io/", "index.docker.io/"] where name.hasPrefix(host) { name = name.dropFirst(host.count) }
        name = name.prefix { $0 != ":" }
        return name == "docker/dockerfile" || name == "docker/dockerfile-upstream"
    }

    /// The next instruction, or nil at the end of the file.
    mutating func nextLine() -> LogicalLine? {
        while next < lines.count, lines[next].isBlank || lines[next].isComment { next += 1 }
        guard next < lines.count else { return nil }
        let first = next + 1
        var fragment = Fragment(text: text)
        var emptyLines: [Int] = []
        var isContinued = true
        while isContinued, next < lines.count {
            let line = lines[next]
            next += 1
            if next > first {
                if line.isComment { continue }
                if line.isBlank {
                    emptyLines.append(next)
                    continue
                }
            }
            var content = line.content
            let start = content.startIndex
            if next == first { content = content.drop(while: \.isBlank) }
            isContinued = dropContinuation(&content)
            fragment.append(content, line: next, column: content.startIndex - start + 1)
        }
        return LogicalLine(
            fragment: fragment, location: SourceRange(first: first, last: next), emptyLines: emptyLines)
    }

    /// Takes the escape at the end of a line away; one that is itself escaped stays.
    private func dropContinuation(_ content: inout ArraySlice<Unicode.Scalar>) -> Bool {
        var end = content.endIndex
        while end > content.startIndex, content[end - 1] == " " || content[end - 1] == "\t" { end -= 1 }
        guard end > content.startIndex, content[end - 1] == escape else { return false }
        if end - 1 > content.startIndex, content[end - 2] == escape { return false }
        content = content[..<(end - 1)]
        return true
    }

    /// Reads the body of one heredoc, from the line after the instruction or after the body before.
    ///
    /// - Returns: the body as written, its first line and the last line taken.
    mutating func body(of marker: HeredocMarker) throws(Mistake) -> (content: String, first: Int, last: Int) {
        let first = next + 1
        var content = ""
        while next < lines.count {
            let line = lines[next]
            next += 1
            var delimiter = line.content
            if marker.stripsTabs { delimiter = delimiter.drop { $0 == "\t" } }
            if delimiter.elementsEqual(marker.name.unicodeScalars) { return (content, first, next) }
            content += line.raw
        }
        let name = SourceText.quoted(marker.name)
        let isGlued = marker.name.unicodeScalars.contains { ">|&;()".unicodeScalars.contains($0) }
        let suggestion =
            isGlued
            ? "the delimiter ends at white space: put a space after the name"
            : "end it with a line that holds \(name) only"
                + (marker.stripsTabs ? " (after tabs)" : ", not indented")
        throw marker.place.error(.syntax, at: 0, "the heredoc \(name) is not ended", suggestion: suggestion)
    }

    /// The line being read next, from 1.
    var position: Int { next + 1 }
}
