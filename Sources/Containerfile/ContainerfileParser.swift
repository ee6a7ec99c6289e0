/// Reads Containerfiles (Dockerfiles).
public enum ContainerfileParser {
    /// The biggest file that is read, in bytes.
    public static let maximumSize = 1 << 20
    /// More instructions than this are refused.
    public static let maximumInstructions = 10_000
    /// More stages than this are refused.
    public static let maximumStages = 1_000
    /// Mistakes shown for one file.
    static let maximumDiagnostics = 50

    /// Parses and checks a file. Time and memory are linear in its size.
    ///
    /// - Parameters:
    ///   - bytes: the file's content.
    ///   - file: its path, for messages.
    /// - Throws: ``ContainerfileError`` with every mistake that was found.
    public static func parse(
        _ bytes: some Collection<UInt8>, file: String
    ) throws(ContainerfileError) -> BuildFile {
        let (text, lines) = try PhysicalLine.lines(of: bytes, file: file, maximumSize: maximumSize)
        var reader = FileReader(LineReader(text: text, lines: lines))
        return try reader.file()
    }

    /// Parses a trigger: an entry of `OnBuild` in an image's config.
    ///
    /// - Parameters:
    ///   - text: one instruction, with its heredocs.
    ///   - image: where it comes from, for messages.
    /// - Throws: ``ContainerfileError``; also for FROM, ONBUILD and MAINTAINER, and for more than one instruction.
    public static func parseTrigger(_ text: String, image: String) throws(ContainerfileError) -> Instruction {
        let prefix = "FROM scratch\nONBUILD "
        let file: BuildFile
        do {
            file = try parse(Array((prefix + text).utf8), file: "ONBUILD of \(image)")
        } catch {
            throw ContainerfileError(
                code: error.code,
                diagnostics: error.diagnostics.map { diagnostic in
                    var diagnostic = diagnostic
                    if diagnostic.line == 2 {
                        diagnostic.column = max(1, diagnostic.column - 8)
                        if diagnostic.source.hasPrefix("ONBUILD ") {
                            diagnostic.source.removeFirst(8)
                            diagnostic.caret = max(1, diagnostic.caret - 8)
                        }
                    }
                    diagnostic.line = max(1, diagnostic.line - 1)
                    return diagnostic
                })
        }
        let instructions = file.stages[0].instructions
        guard file.stages.count == 1, instructions.count == 1, case .onBuild(let trigger) = instructions[0].kind else {
            let source = SourceText(file: "ONBUILD of \(image)", lines: text.split(separator: "\n").map(String.init))
            throw ContainerfileError(
                code: .invalid,
                diagnostics: [
                    source.diagnostic(
                        line: 1, column: 1, "a trigger is one instruction", suggestion: "the image is made wrongly: use another one")
                ])
        }
        return trigger.instruction
    }
}
