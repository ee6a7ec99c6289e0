internal import Yams

/// Reads pipeline files.
public enum PipelineParser {
    /// The biggest file that is read, in bytes.
    public static let maximumSize = 256 << 10
    static let maximumNodes = 20_000
    static let maximumDepth = 32
    /// Mistakes shown for one file.
    static let maximumDiagnostics = 50

    /// Parses and validates the text of one file.
    ///
    /// - Parameters:
    ///   - text: the file's text; bytes that are not UTF-8 are the caller's to refuse.
    ///   - file: its path, for messages; the last component without extension names the pipeline.
    /// - Throws: ``PipelineError`` with every mistake that was found.
    public static func parse(_ text: String, file: String) throws(PipelineError) -> PipelinePlan {
        let source = SourceText(text.utf8.count > maximumSize ? "" : text, file: file)
        guard text.utf8.count <= maximumSize else {
            throw PipelineError(
                code: .tooLarge,
                diagnostics: [
                    source.diagnostic(
                        line: 1, column: 1, "the file has \(text.utf8.count) bytes, more than \(maximumSize)",
                        suggestion: "move long scripts into files of the repository and call them")
                ])
        }
        let reader = Reader(source: source)
        let plan = try YAMLTree.withRoot(of: text, source: source) { root in reader.pipeline(root) }
        let diagnostics = reader.diagnostics
        guard diagnostics.isEmpty, let plan else {
            throw PipelineError(code: .invalid, diagnostics: diagnostics)
        }
        return plan
    }
}
