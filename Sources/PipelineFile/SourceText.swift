import Diagnostics

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
        let place = SourceExcerpt(of: lines, line: line, column: column, isControl: Self.isControl)
        return Diagnostic(
            file: file, line: place.line, column: place.column, message: message, source: place.source, caret: place.caret,
            suggestion: suggestion)
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
