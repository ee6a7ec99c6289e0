/// A place in a file and the line it is on, as diagnostics show it. Columns and carets count Unicode scalars, from 1.
public struct SourceExcerpt: Sendable, Hashable {
    /// From 1.
    public let line: Int
    /// From 1.
    public let column: Int
    /// The line; of a very long one the 120 characters around the place. Control characters are replaced.
    public let source: String
    /// Where in `source` the caret goes, from 1.
    public let caret: Int

    /// - Parameters:
    ///   - lines: the file's, without line ends.
    ///   - line: put inside the file when it is not.
    ///   - column: put inside the line when it is not.
    ///   - isControl: what must not reach a terminal.
    public init(of lines: [String], line: Int, column: Int, isControl: (Unicode.Scalar) -> Bool) {
        let line = max(1, min(line, lines.count))
        let scalars = Array((lines.isEmpty ? "" : lines[line - 1]).unicodeScalars)
        let column = max(1, min(column, scalars.count + 1))
        let start = scalars.count > 120 ? max(0, min(column - 60, scalars.count - 120)) : 0
        let end = min(scalars.count, start + 120)
        var shown = String.UnicodeScalarView()
        if start > 0 { shown.append("…") }
        for scalar in scalars[start..<end] { shown.append(isControl(scalar) ? "\u{FFFD}" : scalar) }
        if end < scalars.count { shown.append("…") }
        self.line = line
        self.column = column
        source = String(shown)
        caret = column - start + (start > 0 ? 1 : 0)
    }

    /// The first line, then the source line with a caret below, then the suggestion.
    ///
    /// - Parameter headline: `file:line:column: error: message`.
    public static func text(
        _ headline: String, line: Int, source: String, caret: Int, suggestion: String?
    ) -> String {
        let number = String(line)
        let margin = String(repeating: " ", count: number.count)
        // Tabs stay tabs, so that the caret stands below its character.
        let indent = source.unicodeScalars.prefix(max(0, caret - 1)).map { $0 == "\t" ? "\t" : " " }.joined()
        let end = suggestion.map { "\n \(margin) = \($0)" } ?? ""
        return "\(headline)\n \(number) | \(source)\n \(margin) | \(indent)^\(end)"
    }
}
