/// Reads all instructions of a file into stages and collects what is wrong.
struct FileReader {
    private var lines: LineReader
    private var globals: [ArgumentDeclaration] = []
    private var stages: [Stage] = []
    private var mistakes: [Mistake] = []
    private var warnings: [Diagnostic] = []
    private var count = 0
    /// The instructions that count once in a stage, seen in this one.
    private var seen: Set<String> = []
    /// Whether the first keyword is in upper case.
    private var isUpper: Bool?

    init(_ lines: LineReader) { self.lines = lines }

    mutating func file() throws(ContainerfileError) -> BuildFile {
        do throws(Mistake) {
            try lines.readDirectives()
            while let line = lines.nextLine() {
                count += 1
                guard count <= ContainerfileParser.maximumInstructions else {
                    throw line.fragment.error(
                        .tooLarge, at: 0, "the file has more than \(ContainerfileParser.maximumInstructions) instructions")
                }
                try read(line)
                guard mistakes.count < ContainerfileParser.maximumDiagnostics else { break }
            }
        } catch {
            mistakes.append(error)
        }
        if mistakes.isEmpty, stages.isEmpty {
            let message = count == 0 ? "the file holds no instruction" : "the file holds no FROM"
            mistakes.append(
                Mistake(
                    code: .stage,
                    diagnostic: lines.text.diagnostic(
                        line: 1, column: 1, message, suggestion: "begin with FROM image, or FROM scratch")))
        }
        let (shown, isStrict) = checked()
        if isStrict, mistakes.isEmpty {
            mistakes = shown.map { warning in
                var warning = warning
                warning.severity = .error
                return Mistake(code: .invalid, diagnostic: warning)
            }
        }
        guard mistakes.isEmpty else {
            throw ContainerfileError(code: mistakes[0].code, diagnostics: mistakes.map(\.diagnostic))
        }
        return BuildFile(
            file: lines.text.file, directives: lines.directives, globalArguments: globals, stages: stages, warnings: shown,
            source: lines.text)
    }

    /// One instruction with its heredocs. Mistakes inside it are collected; one that hides the rest of the file is thrown.
    private mutating func read(_ line: LineReader.LogicalLine) throws(Mistake) {
        let escape = lines.directives.escape
        for empty in line.emptyLines.prefix(1) {
            warnings.append(
                lines.text.diagnostic(
                    .warning, check: .noEmptyContinuation, line: empty, column: 1, "an empty line stands inside an instruction",
                    suggestion: "remove it, or the \(Unicode.Scalar(escape.rawValue)) before it"))
        }
        let statement: Statement
        let takesHeredocs: Bool
        do {
            statement = try Statement(line.fragment, escape: escape)
            takesHeredocs = try InstructionReader.takesHeredocs(statement, escape: escape)
        } catch {
            mistakes.append(error)
            return
        }
        var location = line.location
        var documents: [InstructionReader.Document] = []
        if takesHeredocs, statement.whole.scalars.contains("<") {
            for marker in try HeredocMarker.find(in: statement.whole) {
                let (content, first, last) = try lines.body(of: marker)
                documents.append(InstructionReader.Document(marker: marker, content: content, first: first))
                location.last = last
            }
        }
        do throws(Mistake) {
            checkCasing(of: statement)
            if statement.name == "FROM" {
                try readStage(statement, location)
            } else {
                try readInstruction(statement, documents, location)
            }
        } catch {
            mistakes.append(error)
        }
    }

    private mutating func readInstruction(
        _ statement: Statement, _ documents: [InstructionReader.Document], _ location: SourceRange
    ) throws(Mistake) {
        var reader = InstructionReader(
            statement: statement, documents: documents, escape: lines.directives.escape, location: location)
        let instruction: Instruction
        do {
            instruction = try reader.instruction()
            warnings += reader.warnings
        } catch {
            warnings += reader.warnings
            throw error
        }
        guard !stages.isEmpty else {
            guard case .argument(let declarations) = instruction.kind else {
                throw statement.keyword.error(
                    .stage, at: 0, "\(statement.name) stands before the first FROM",
                    suggestion: "only ARG may stand there; begin with FROM image, or FROM scratch")
            }
            globals += declarations
            return
        }
        checkUse(of: instruction, statement)
        stages[stages.count - 1].instructions.append(instruction)
    }

    private mutating func readStage(_ statement: Statement, _ location: SourceRange) throws(Mistake) {
        guard stages.count < ContainerfileParser.maximumStages else {
            throw statement.keyword.error(
                .tooLarge, at: 0, "the file has more than \(ContainerfileParser.maximumStages) stages")
        }
        // Whatever is wrong with this line, the next instructions are not part of the stage before.
        seen = []
        let placeholder = WordParser.literal(statement.keyword)
        stages.append(
            Stage(
                index: stages.count, name: nil, base: placeholder, platform: nil, instructions: [], location: location,
                text: statement.whole.string))
        let reader = InstructionReader(
            statement: statement, documents: [], escape: lines.directives.escape, location: location)
        let flags = try reader.flags(["platform"])
        let words = try reader.plainWords()
        guard let base = words.first else { throw reader.missing("needs a base", example: "FROM scratch") }
        if words.count > 1 {
            guard words[1].string.lowercased() == "as" else {
                throw words[1].error(
                    .invalid, at: 0, "\(SourceText.quoted(words[1].string)) stands behind the base",
                    suggestion: "write FROM image AS name")
            }
            guard words.count == 3 else {
                let place = words.count == 2 ? words[1] : words[3]
                throw place.error(
                    .invalid, at: 0, words.count == 2 ? "the stage's name is missing" : "something stands behind the stage's name",
                    suggestion: "write FROM image AS name")
            }
            stages[stages.count - 1].name = try stageName(words[2])
            if words[1].string != (statement.keyword.string == statement.name ? "AS" : "as"), isPlainCase(statement.keyword.string) {
                warn(.fromAsCasing, at: words[1], "FROM and AS are not in the same case", suggestion: nil)
            }
        }
        stages[stages.count - 1].platform = try reader.word(flags["platform"]?.first)
        let word = try reader.plainWord(base)
        stages[stages.count - 1].base = word
        checkArguments(of: word, base)
    }

    private mutating func stageName(_ word: Fragment) throws(Mistake) -> String {
        let name = word.string.lowercased()
        let isValid =
            name.utf8.first.map { $0 >= 0x61 && $0 <= 0x7a } == true
            && name.utf8.allSatisfy {
                ($0 >= 0x61 && $0 <= 0x7a) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2d || $0 == 0x5f || $0 == 0x2e
            }
        guard isValid else {
            throw word.error(
                .invalid, at: 0, "\(SourceText.quoted(word.string)) is no name of a stage",
                suggestion: "begin with a letter; then letters, digits, '.', '_' and '-'")
        }
        guard name != "scratch" else {
            throw word.error(.stage, at: 0, "no stage may be called 'scratch'", suggestion: "it is the empty base; use another name")
        }
        if let other = stages.first(where: { $0.name == name }) {
            throw word.error(
                .stage, at: 0, "there is a stage \(SourceText.quoted(name)) already, in line \(other.location.first)",
                suggestion: "give each stage a name of its own")
        }
        if name == "context" { warn(.reservedStageName, at: word, "'context' is a reserved name", suggestion: "use another name") }
        if name != word.string {
            warn(.stageNameCasing, at: word, "a stage's name is in lower case", suggestion: "write \(name)")
        }
        return name
    }

    // MARK: Checks

    private mutating func warn(_ check: Check, at fragment: Fragment, _ message: String, suggestion: String?) {
        let place = fragment.place(at: 0)
        warnings.append(
            lines.text.diagnostic(
                .warning, check: check, line: place.line, column: place.column, message, suggestion: suggestion))
    }

    private func isPlainCase(_ keyword: String) -> Bool {
        keyword == keyword.uppercased() || keyword == keyword.lowercased()
    }

    private mutating func checkCasing(of statement: Statement) {
        guard InstructionReader.names.contains(statement.name) else { return }
        let keyword = statement.keyword.string
        let isUpper = self.isUpper ?? (keyword == keyword.uppercased())
        self.isUpper = isUpper
        let wanted = isUpper ? keyword.uppercased() : keyword.lowercased()
        guard keyword != wanted else { return }
        warn(
            .consistentInstructionCasing, at: statement.keyword, "the instructions are not all in the same case",
            suggestion: "write \(wanted)")
    }

    private mutating func checkArguments(of base: Word, _ place: Fragment) {
        let known = Set(globals.map(\.name))
        for name in base.variables.sorted() where !known.contains(name) && !name.hasPrefix("TARGET") && !name.hasPrefix("BUILD") {
            warn(
                .undefinedArgInFrom, at: place, "\(name) is not declared before the first FROM",
                suggestion: Suggestion.didYouMean(name, among: known.sorted()) ?? "write ARG \(name) above all FROM lines")
        }
    }

    private mutating func checkUse(of instruction: Instruction, _ statement: Statement) {
        switch instruction.kind {
        case .command(let line), .entrypoint(let line):
            if case .shell = line, !seen.contains("SHELL") {
                warn(
                    .jsonArgsRecommended, at: statement.rest, "the shell between swallows signals",
                    suggestion: "write the exec form: \(statement.name) [\"program\", \"argument\"]")
            }
        case .workingDirectory(let word):
            if !seen.contains("WORKDIR"), word.literal.map({ !$0.hasPrefix("/") }) == true {
                warn(
                    .workdirRelativePath, at: statement.rest, "the first WORKDIR is relative to what the base says",
                    suggestion: "write an absolute path")
            }
        default: break
        }
        let isNew = seen.insert(statement.name).inserted
        if !isNew, ["CMD", "ENTRYPOINT", "HEALTHCHECK"].contains(statement.name) {
            warn(
                .multipleInstructionsDisallowed, at: statement.keyword, "only the last \(statement.name) of a stage counts",
                suggestion: "remove the ones before")
        }
    }

    /// The warnings that `# check=` leaves, and whether it makes them errors.
    private mutating func checked() -> (warnings: [Diagnostic], isStrict: Bool) {
        let all = lines.warnings + warnings
        guard let directive = lines.directives.check, let line = lines.directiveLines["check"] else { return (all, false) }
        var skipped: Set<String> = []
        var isStrict = false
        for option in directive.split(separator: ";") {
            let parts = option.split(separator: "=", maxSplits: 1).map { $0.filter { !$0.isWhitespace } }
            switch (parts.first, parts.count) {
            // Checks that are not on by default; there are none here.
            case ("experimental", 2): break
            case ("skip", 2): skipped.formUnion(parts[1].split(separator: ",").map(String.init))
            case ("error", 2) where ["true", "false"].contains(parts[1].lowercased()): isStrict = parts[1].lowercased() == "true"
            default:
                mistakes.append(
                    Mistake(
                        code: .invalid,
                        diagnostic: lines.text.diagnostic(
                            line: line, column: 1, "\(SourceText.quoted(option)) is no option of check",
                            suggestion: "write skip=CheckName,… or error=true")))
            }
        }
        return (all.filter { warning in !skipped.contains("all") && !skipped.contains(warning.check?.rawValue ?? "") }, isStrict)
    }
}
