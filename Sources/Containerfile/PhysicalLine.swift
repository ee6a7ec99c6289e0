/// One line of the file.
struct PhysicalLine {
    /// Without the line feed; a carriage return before it is still there.
    let scalars: ArraySlice<Unicode.Scalar>
    let hasLineFeed: Bool

    /// Without carriage returns at the end.
    var content: ArraySlice<Unicode.Scalar> {
        var content = scalars
        while content.last == "\r" { content.removeLast() }
        return content
    }

    /// As it stands in the file: a heredoc keeps its line ends.
    var raw: String {
        var view = String.UnicodeScalarView(scalars)
        if hasLineFeed { view.append("\n") }
        return String(view)
    }

    var isBlank: Bool { scalars.allSatisfy(\.isBlank) }

    /// Nothing but a comment; white space before the `#` does not count.
    var isComment: Bool { scalars.first { !$0.isBlank } == "#" }

    /// Decodes and cuts a file: UTF-8, with or without byte order mark, LF or CRLF.
    static func lines(
        of bytes: some Collection<UInt8>, file: String, maximumSize: Int
    ) throws(ContainerfileError) -> (text: SourceText, lines: [PhysicalLine]) {
        func refuse(
            _ code: ContainerfileError.Code, _ message: String, _ suggestion: String, lines: [String] = [""], line: Int = 1,
            column: Int = 1
        ) -> ContainerfileError {
            let text = SourceText(file: file, lines: lines)
            return ContainerfileError(
                code: code, diagnostics: [text.diagnostic(line: line, column: column, message, suggestion: suggestion)])
        }
        guard bytes.count <= maximumSize else {
            throw refuse(
                .tooLarge, "the file has \(bytes.count) bytes, more than \(maximumSize)",
                "put long scripts into files of the build context")
        }
        var scalars: [Unicode.Scalar] = []
        scalars.reserveCapacity(bytes.count)
        var decoder = UTF8(), iterator = bytes.makeIterator()
        var line = 1, column = 1
        decoding: while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar):
                if scalar == "\0" {
                    throw refuse(
                        .syntax, "a NUL character stands here", "save the file as UTF-8 text",
                        lines: Self.shown(scalars, at: line), line: line, column: column)
                }
                if scalar == "\n" {
                    line += 1
                    column = 1
                } else {
                    column += 1
                }
                scalars.append(scalar)
            case .emptyInput: break decoding
            case .error:
                throw refuse(
                    .syntax, "the file is not UTF-8", "save it as UTF-8", lines: Self.shown(scalars, at: line), line: line,
                    column: column)
            }
        }
        if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
        var lines: [PhysicalLine] = []
        var start = 0
        for index in scalars.indices where scalars[index] == "\n" {
            lines.append(PhysicalLine(scalars: scalars[start..<index], hasLineFeed: true))
            start = index + 1
        }
        if start < scalars.count { lines.append(PhysicalLine(scalars: scalars[start...], hasLineFeed: false)) }
        let texts = lines.map { String(String.UnicodeScalarView($0.content)) }
        return (SourceText(file: file, lines: texts), lines)
    }

    /// The lines up to the one being read, that one with what is known of it.
    private static func shown(_ scalars: [Unicode.Scalar], at line: Int) -> [String] {
        let start = scalars.lastIndex(of: "\n").map { $0 + 1 } ?? 0
        return Array(repeating: "", count: line - 1) + [String(String.UnicodeScalarView(scalars[start...]))]
    }
}
