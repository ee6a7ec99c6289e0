import Diagnostics

/// The lines of a file, for positions and for the lines shown in diagnostics.
///
/// A class, so that every word can point at it without a copy; immutable.
public final class SourceText: Sendable {
    /// The path, as messages show it.
    public let file: String
    /// Without line ends.
    public let lines: [String]

    public init(file: String, lines: [String]) {
        self.file = file
        self.lines = lines
    }

    /// A diagnostic for a place in the file.
    ///
    /// - Parameters:
    ///   - line: from 1; put inside the file when it is not.
    ///   - column: from 1, in Unicode scalars.
    public func diagnostic(
        _ severity: Diagnostic.Severity = .error, check: Check? = nil, line: Int, column: Int, _ message: String,
        suggestion: String? = nil
    ) -> Diagnostic {
        let place = SourceExcerpt(of: lines, line: line, column: column, isControl: Self.isControl)
        return Diagnostic(
            severity: severity, check: check, file: file, line: place.line, column: place.column,
            message: Self.printable(message), source: place.source, caret: place.caret,
            suggestion: suggestion.map(Self.printable))
    }

    /// Without characters that must not reach a terminal: messages quote what files and other rooms say.
    private static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) ? "\u{FFFD}" : $0 }))
    }

    /// Characters that must not reach a terminal.
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09: false
        case 0x00..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069, 0xFFFE, 0xFFFF: true
        default: false
        }
    }

    /// What was written, safe and short enough to be part of a message.
    static func quoted(_ text: some StringProtocol) -> String { "'\(shown(text))'" }

    /// The same without quotes.
    static func shown(_ text: some StringProtocol) -> String {
        let scalars = text.unicodeScalars.prefix(80).map { isControl($0) || $0 == "\t" ? "\u{FFFD}" : $0 }
        var shown = String.UnicodeScalarView(scalars)
        if text.unicodeScalars.count > 80 { shown.append("…") }
        return String(shown)
    }
}
