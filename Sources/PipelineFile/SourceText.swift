/// The text of a pipeline file, for positions and for the lines shown in diagnostics.
struct SourceText {
    let file: String
    let lines: [String]

    init(_ text: String, file: String) {
        self.file = file
        var lines: [String] = []
        var line = String.UnicodeScalarView()
        var afterReturn = false
        for scalar in text.unicodeScalars {
            // The line breaks libyaml counts (YAML 1.1, section 5.4).
            switch scalar {
            case "\n" where afterReturn: afterReturn = false
            case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}":
                lines.append(String(line))
                line = String.UnicodeScalarView()
                afterReturn = scalar == "\r"
            default:
                line.append(scalar)
                afterReturn = false
            }
        }
        lines.append(String(line))
        self.lines = lines
    }

    /// The line with this number, from 1.
    func line(_ number: Int) -> String { lines.indices.contains(number - 1) ? lines[number - 1] : "" }

    func diagnostic(line: Int, column: Int, _ message: String, suggestion: String?) -> Diagnostic {
        let line = max(1, min(line, lines.count))
        let scalars = Array(self.line(line).unicodeScalars)
        let column = max(1, min(column, scalars.count + 1))
        // A window of 120 characters around the mistake.
        let start = scalars.count > 120 ? max(0, min(column - 60, scalars.count - 120)) : 0
        let end = min(scalars.count, start + 120)
        var shown = String.UnicodeScalarView()
        if start > 0 { shown.append("…") }
        for scalar in scalars[start..<end] { shown.append(Self.isControl(scalar) ? "\u{FFFD}" : scalar) }
        if end < scalars.count { shown.append("…") }
        return Diagnostic(
            file: file, line: line, column: column, message: message, source: String(shown),
            caret: column - start + (start > 0 ? 1 : 0), suggestion: suggestion)
    }

    /// Characters that YAML forbids and that must not reach a terminal.
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x85: false
        case 0x00..<0x20, 0x7F..<0xA0, 0xFFFE, 0xFFFF: true
        default: false
        }
    }
}
