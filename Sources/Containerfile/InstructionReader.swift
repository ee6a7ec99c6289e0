/// Turns one statement into an instruction. A value per statement; what it warns of is collected in `warnings`.
struct InstructionReader {
    /// A heredoc with the place its body begins.
    struct Document {
        let marker: HeredocMarker
        let content: String
        let first: Int
    }

    let statement: Statement
    let documents: [Document]
    let escape: Escape
    let location: SourceRange
    var warnings: [Diagnostic] = []

    var rest: Fragment { statement.rest }

    static let names = [
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
        "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    ]

    /// Where BuildKit reads heredocs: RUN, COPY and ADD, also behind ONBUILD, not in exec form.
    static func takesHeredocs(_ statement: Statement, escape: Escape) throws(Mistake) -> Bool {
        var statement = statement
        if statement.name == "ONBUILD", !statement.rest.scalars.isEmpty {
            statement = try Statement(statement.rest, escape: escape)
        }
        guard ["RUN", "COPY", "ADD"].contains(statement.name) else { return false }
        if case .strings = JSONArray.parse(statement.rest.scalars) { return false }
        return true
    }

    /// The instruction, for every keyword but FROM.
    mutating func instruction() throws(Mistake) -> Instruction {
        let kind: Instruction.Kind =
            switch statement.name {
            case "ADD": try add()
            case "ARG": try .argument(arguments())
            case "CMD": try .command(commandLine())
            case "COPY": try copy()
            case "ENTRYPOINT": try .entrypoint(commandLine())
            case "ENV": try .environment(keyValues())
            case "EXPOSE": try expose()
            case "HEALTHCHECK": try healthcheck()
            case "LABEL": try .label(keyValues())
            case "MAINTAINER": try maintainer()
            case "ONBUILD": try onBuild()
            case "RUN": try run()
            case "SHELL": try shell()
            case "STOPSIGNAL": try stopSignal()
            case "USER": try .user(wholeWord())
            case "VOLUME": try volume()
            case "WORKDIR": try workingDirectory()
            default: throw unknown()
            }
        return Instruction(kind: kind, location: location, text: statement.whole.string, source: statement.whole.text)
    }

    func unknown() -> Mistake {
        let written = statement.keyword.string
        var suggestion = Suggestion.didYouMean(written, among: Self.names)
        if written.unicodeScalars.contains(where: { !$0.isASCII && $0.properties.isWhitespace }) {
            suggestion = "a no-break space or another wide space stands in it: replace it by a plain one"
        }
        return statement.keyword.error(
            .syntax, at: 0, "\(SourceText.quoted(written)) is no instruction",
            suggestion: suggestion ?? "the line before may lack a \(Unicode.Scalar(escape.rawValue)) at its end")
    }

    // MARK: Flags

    /// The flags by name, none given twice but those in `repeated`.
    func flags(
        _ known: [String], repeated: Set<String> = [], unsupported: [String: String] = [:]
    ) throws(Mistake)
        -> [String: [Statement.Flag]]
    {
        var flags: [String: [Statement.Flag]] = [:]
        for flag in statement.flags {
            if let reason = unsupported[flag.name] {
                throw flag.place.error(
                    .unsupported, at: 0, "\(statement.name) --\(flag.name) is not supported", suggestion: reason)
            }
            guard known.contains(flag.name) else {
                let suggestion = Suggestion.nearest(to: flag.name, among: known).map { "did you mean '--\($0)'?" }
                let all = known.map { "--\($0)" }.joined(separator: ", ")
                let hint =
                    known.isEmpty
                    ? "\(statement.name) has no flags; write -- before an argument that begins with --"
                    : "\(statement.name) has \(all)"
                throw flag.place.error(
                    .invalid, at: 0, "\(statement.name) has no flag \(SourceText.quoted("--" + flag.name))",
                    suggestion: suggestion ?? hint)
            }
            guard flags[flag.name] == nil || repeated.contains(flag.name) else {
                throw flag.place.error(.invalid, at: 0, "--\(flag.name) is given twice", suggestion: "keep one of them")
            }
            flags[flag.name, default: []].append(flag)
        }
        return flags
    }

    /// The value of a flag that needs one.
    func value(_ flag: Statement.Flag?) throws(Mistake) -> Fragment? {
        guard let flag else { return nil }
        guard let value = flag.value, !value.scalars.isEmpty else {
            throw flag.place.error(
                .invalid, at: 0, "--\(flag.name) needs a value", suggestion: "write --\(flag.name)=…")
        }
        return value
    }

    func word(_ flag: Statement.Flag?) throws(Mistake) -> Word? {
        guard let value = try value(flag) else { return nil }
        return try WordParser.parse(value, escape: escape)
    }

    func truth(_ flag: Statement.Flag?) throws(Mistake) -> Bool? {
        guard let flag else { return nil }
        switch flag.value?.string.lowercased() {
        case nil, "true": return true
        case "false": return false
        default:
            throw flag.place.error(
                .invalid, at: 0, "--\(flag.name) is true or false", suggestion: "write --\(flag.name)=true")
        }
    }

    // MARK: Arguments

    func missing(_ what: String, example: String) -> Mistake {
        statement.keyword.error(.invalid, at: 0, "\(statement.name) \(what)", suggestion: "write it as in \(example)")
    }

    /// The words of a line that are separated by white space, whatever quotes say.
    func plainWords() throws(Mistake) -> [Fragment] {
        var words: [Fragment] = []
        let scalars = rest.scalars
        var index = 0
        while index < scalars.count {
            let start = index
            while index < scalars.count, !scalars[index].isBlank { index += 1 }
            words.append(rest[start..<index])
            while index < scalars.count, scalars[index].isBlank { index += 1 }
        }
        for word in words { try refuseWideSpace(in: word) }
        return words
    }

    /// The words of a line where quotes and escapes hold white space together; they stay in the words.
    func quotedWords() throws(Mistake) -> [Fragment] {
        let scalars = rest.scalars, escape = Unicode.Scalar(escape.rawValue)
        var words: [Fragment] = []
        var index = 0
        while index < scalars.count {
            let start = index
            var quote: Unicode.Scalar?
            while index < scalars.count, quote != nil || !scalars[index].isBlank {
                let scalar = scalars[index]
                if scalar == escape, quote != "'" {
                    index += 1
                } else if scalar == quote {
                    quote = nil
                } else if quote == nil, scalar == "'" || scalar == "\"" {
                    quote = scalar
                } else if quote == nil {
                    try refuseWideSpace(scalar, in: rest, at: index)
                }
                index += 1
            }
            index = min(index, scalars.count)
            words.append(rest[start..<index])
            while index < scalars.count, scalars[index].isBlank { index += 1 }
        }
        return words
    }

    private func refuseWideSpace(in word: Fragment) throws(Mistake) {
        for (offset, scalar) in word.scalars.enumerated() { try refuseWideSpace(scalar, in: word, at: offset) }
    }

    /// White space that is not ASCII is nearly always there by accident, and builders disagree on it.
    private func refuseWideSpace(_ scalar: Unicode.Scalar, in fragment: Fragment, at offset: Int) throws(Mistake) {
        guard !scalar.isASCII, scalar.properties.isWhitespace else { return }
        throw fragment.error(
            .syntax, at: offset, "a space that is not ASCII (U+\(String(scalar.value, radix: 16, uppercase: true))) stands here",
            suggestion: "replace it by a plain space, or quote it")
    }

    /// The whole rest as one word.
    func wholeWord() throws(Mistake) -> Word {
        _ = try flags([])
        guard !rest.scalars.isEmpty else { throw missing("needs one argument", example: "\(statement.name) value") }
        return try WordParser.parse(rest, escape: escape)
    }

    /// Words in exec form (JSON) or separated by white space.
    func words() throws(Mistake) -> [Word] {
        var words: [Word] = []
        switch JSONArray.parse(rest.scalars) {
        case .strings(let strings):
            for (text, offset) in strings {
                let fragment = Fragment(text, at: rest.place(at: offset), text: rest.text)
                words.append(try WordParser.parse(fragment, escape: escape))
            }
        case .notStrings(let offset): throw notAString(offset)
        case .none:
            for fragment in try plainWords() { words.append(try plainWord(fragment)) }
        }
        return words
    }

    /// A word that white space ended, so an escape or an open quote at its end meant to hold white space.
    func plainWord(_ fragment: Fragment) throws(Mistake) -> Word {
        let escape = Unicode.Scalar(escape.rawValue)
        let trailing = fragment.scalars.reversed().prefix { $0 == escape }.count
        guard trailing.isMultiple(of: 2) else {
            throw fragment.error(
                .invalid, at: fragment.scalars.count - 1, "white space cannot be escaped in \(statement.name)",
                suggestion: "write the JSON form: \(statement.name) [\"a b\", …]")
        }
        do {
            return try WordParser.parse(fragment, escape: self.escape)
        } catch {
            var mistake = error.diagnostic
            if mistake.message.hasSuffix("quote is not closed") {
                mistake.suggestion =
                    "quotes don't hold white space together in \(statement.name); write the JSON form: [\"a b\", …]"
            }
            throw Mistake(code: error.code, diagnostic: mistake)
        }
    }

    func notAString(_ offset: Int) -> Mistake {
        rest.error(
            .invalid, at: offset, "the exec form holds strings only", suggestion: "put it between double quotes")
    }

    /// More warnings about one instruction help nobody.
    static let maximumWarnings = 20

    mutating func warn(_ check: Check?, at fragment: Fragment, _ message: String, suggestion: String? = nil) {
        guard warnings.count < Self.maximumWarnings else { return }
        let place = fragment.place(at: 0)
        warnings.append(
            fragment.text.diagnostic(
                .warning, check: check, line: place.line, column: place.column, message, suggestion: suggestion))
    }
}
