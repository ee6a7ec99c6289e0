import Diagnostics

/// One mistake in a pipeline file.
public struct Diagnostic: Sendable, Hashable, Codable, CustomStringConvertible {
    public var file: String
    /// From 1.
    public var line: Int
    /// From 1, counted in Unicode scalars.
    public var column: Int
    public var message: String
    /// The offending line, cut when it is very long.
    public var source: String
    /// Where in `source` the caret goes, from 1.
    public var caret: Int
    /// What to do about it, when there is something to say.
    public var suggestion: String?

    public init(
        file: String, line: Int, column: Int, message: String, source: String, caret: Int, suggestion: String?
    ) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.source = source
        self.caret = caret
        self.suggestion = suggestion
    }

    /// `file:line:column: error: message`, the source line with a caret below, and the suggestion.
    public var description: String {
        SourceExcerpt.text(
            "\(file):\(line):\(column): error: \(message)", line: line, source: source, caret: caret, suggestion: suggestion)
    }
}

/// A pipeline file that cannot be used; `description` shows every mistake found.
public struct PipelineError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong with the file as a whole; callers switch on this, never on prose.
    public enum Code: String, Sendable, Codable {
        /// Not YAML, or YAML that is refused (several documents, anchors, tags, control characters).
        case syntax
        /// Bigger, deeper or longer than a pipeline file may be.
        case tooLarge
        /// YAML, but not a pipeline.
        case invalid
    }

    public let code: Code
    /// Never empty; in the order of the file.
    public let diagnostics: [Diagnostic]

    public init(code: Code, diagnostics: [Diagnostic]) {
        self.code = code
        self.diagnostics = diagnostics
    }

    /// The first mistake and how many there are, on one line.
    public var message: String {
        guard let first = diagnostics.first else { return "the pipeline file is not valid" }
        let more = diagnostics.count > 1 ? " (and \(diagnostics.count - 1) more)" : ""
        return "\(first.file):\(first.line):\(first.column): \(first.message)\(more)"
    }

    public var hint: String { diagnostics.first?.suggestion ?? "correct the file; docs/pipeline.md lists every key" }

    public var description: String { diagnostics.map(\.description).joined(separator: "\n\n") }
}
