/// A stretch of text that knows where in the file each of its scalars stood: lines are joined and words are cut out,
/// and mistakes are still shown where they were made.
struct Fragment: Sendable {
    /// From `offset` on, scalars stand side by side in one line of the file.
    struct Mark: Sendable {
        var offset: Int
        var line: Int
        var column: Int
    }

    private(set) var scalars: [Unicode.Scalar] = []
    /// In the order of their offsets; the first, when there is one, is at offset 0.
    private(set) var marks: [Mark] = []
    let text: SourceText

    init(text: SourceText) { self.text = text }

    /// Text that is not in the file letter by letter (a JSON string); every scalar is shown at one place.
    init(_ string: String, at place: (line: Int, column: Int), text: SourceText) {
        self.text = text
        scalars = Array(string.unicodeScalars)
        marks = [Mark(offset: 0, line: place.line, column: place.column)]
    }

    /// The body of a heredoc, which stands in the file as it is, from the beginning of a line.
    init(body: String, firstLine: Int, text: SourceText) {
        self.text = text
        scalars = Array(body.unicodeScalars)
        marks = [Mark(offset: 0, line: firstLine, column: 1)]
        for (offset, scalar) in scalars.enumerated() where scalar == "\n" {
            marks.append(Mark(offset: offset + 1, line: firstLine + marks.count, column: 1))
        }
    }

    var string: String { String(String.UnicodeScalarView(scalars)) }

    mutating func append(_ more: some Collection<Unicode.Scalar>, line: Int, column: Int) {
        if !more.isEmpty || marks.isEmpty {
            marks.append(Mark(offset: scalars.count, line: line, column: column))
        }
        scalars.append(contentsOf: more)
    }

    /// Adds one scalar of another fragment, with its place.
    mutating func append(_ scalar: Unicode.Scalar, from source: Fragment, at offset: Int) {
        let place = source.place(at: offset)
        let here = self.place(at: scalars.count)
        if marks.isEmpty || here.line != place.line || here.column != place.column {
            marks.append(Mark(offset: scalars.count, line: place.line, column: place.column))
        }
        scalars.append(scalar)
    }

    /// Line and column, from 1, of the scalar at this offset; one past the end is allowed.
    func place(at offset: Int) -> (line: Int, column: Int) {
        let after = markAfter(offset)
        guard after > 0 else { return (1, 1) }
        let mark = marks[after - 1]
        return (mark.line, mark.column + offset - mark.offset)
    }

    /// The index of the first mark behind this offset.
    private func markAfter(_ offset: Int) -> Int {
        var low = 0, high = marks.count
        while low < high {
            let middle = (low + high) / 2
            if marks[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    subscript(range: Range<Int>) -> Fragment {
        var part = Fragment(text: text)
        let start = place(at: range.lowerBound)
        part.marks = [Mark(offset: 0, line: start.line, column: start.column)]
        for mark in marks[markAfter(range.lowerBound)...].prefix(while: { $0.offset < range.upperBound }) {
            part.marks.append(Mark(offset: mark.offset - range.lowerBound, line: mark.line, column: mark.column))
        }
        part.scalars = Array(scalars[range])
        return part
    }

    /// Without ASCII white space at both ends.
    var trimmed: Fragment {
        var range = scalars.indices
        while let first = range.first, scalars[first].isBlank { range = first + 1..<range.upperBound }
        while let last = range.last, scalars[last].isBlank { range = range.lowerBound..<last }
        return self[range]
    }

    func error(_ code: ContainerfileError.Code, at offset: Int, _ message: String, suggestion: String? = nil) -> Mistake {
        let place = place(at: offset)
        return Mistake(
            code: code,
            diagnostic: text.diagnostic(line: place.line, column: place.column, message, suggestion: suggestion))
    }
}

/// One mistake on its way up to the parser, which collects them.
struct Mistake: Error {
    let code: ContainerfileError.Code
    let diagnostic: Diagnostic
}

extension Unicode.Scalar {
    /// White space that separates words.
    var isBlank: Bool {
        switch self {
        case " ", "\t", "\r", "\n", "\u{0B}", "\u{0C}": true
        default: false
        }
    }
}
