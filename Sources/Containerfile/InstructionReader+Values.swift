extension InstructionReader {
    /// ARG name[=default]…
    mutating func arguments() throws(Mistake) -> [ArgumentDeclaration] {
        _ = try flags([])
        let words = try quotedWords()
        guard !words.isEmpty else { throw missing("needs a name", example: "ARG VERSION=1.0") }
        var declarations: [ArgumentDeclaration] = []
        for word in words {
            let equals = word.scalars.firstIndex(of: "=")
            let name = word[0..<(equals ?? word.scalars.count)]
            guard Self.isVariableName(name.scalars) else {
                throw word.error(
                    .invalid, at: 0, "\(SourceText.quoted(name.string)) is no name of a build argument",
                    suggestion: "use letters, digits and '_'; quote the value only: NAME=\"a b\"")
            }
            var value: Word?
            if let equals { value = try WordParser.parse(word[equals + 1..<word.scalars.count], escape: escape) }
            warnAboutSecret(name, at: word)
            declarations.append(ArgumentDeclaration(name: name.string, value: value, location: location))
        }
        return declarations
    }

    /// Dots and dashes are let through: such names cannot be written as `$name`, but programs see them.
    private static func isVariableName(_ scalars: [Unicode.Scalar]) -> Bool {
        func isLetter(_ scalar: Unicode.Scalar) -> Bool {
            (scalar >= "a" && scalar <= "z") || (scalar >= "A" && scalar <= "Z") || scalar == "_"
        }
        guard let first = scalars.first, isLetter(first) else { return false }
        return scalars.allSatisfy { isLetter($0) || ($0 >= "0" && $0 <= "9") || $0 == "." || $0 == "-" }
    }

    /// ENV and LABEL: `key=value…`, or the old `key value`.
    mutating func keyValues() throws(Mistake) -> [KeyValue] {
        _ = try flags([])
        let words = try quotedWords()
        guard let first = words.first else {
            throw missing("needs a key and a value", example: "\(statement.name) KEY=value")
        }
        guard first.scalars.contains("=") else { return [try legacyKeyValue()] }
        var pairs: [KeyValue] = []
        for word in words {
            guard let equals = word.scalars.firstIndex(of: "=") else {
                throw word.error(
                    .invalid, at: 0, "\(SourceText.quoted(word.string)) has no '='",
                    suggestion: "write key=value, and quote a value with white space: key=\"a b\"")
            }
            pairs.append(
                try pair(word[0..<equals], WordParser.parse(word[equals + 1..<word.scalars.count], escape: escape)))
        }
        return pairs
    }

    private mutating func legacyKeyValue() throws(Mistake) -> KeyValue {
        let scalars = rest.scalars
        guard let end = scalars.firstIndex(where: \.isBlank) else {
            throw missing("needs a key and a value", example: "\(statement.name) KEY=value")
        }
        let value = rest[end..<scalars.count].trimmed
        warn(
            .legacyKeyValueFormat, at: rest, "\(statement.name) key value is the old form",
            suggestion: "write \(statement.name) \(rest[0..<end].string)=…, quoted when it holds white space")
        return try pair(rest[0..<end], WordParser.parse(value, escape: escape))
    }

    private mutating func pair(_ key: Fragment, _ value: Word) throws(Mistake) -> KeyValue {
        let word = try WordParser.parse(key, escape: escape)
        guard word.literal?.isEmpty != true else {
            throw key.error(.invalid, at: 0, "the name before '=' is empty", suggestion: "write \(statement.name) KEY=value")
        }
        if statement.name == "ENV" { warnAboutSecret(key, at: key) }
        return KeyValue(key: word, value: value)
    }

    /// Names that tell of a secret: the value would be in the image's config or history.
    private mutating func warnAboutSecret(_ name: Fragment, at place: Fragment) {
        let parts = name.string.lowercased().split(separator: "_")
        let words: Set<Substring> = ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"]
        guard parts.contains(where: words.contains), !parts.contains("public") else { return }
        warn(
            .secretsUsedInArgOrEnv, at: place, "\(statement.name) \(name.string) looks like a secret, and ends in the image",
            suggestion: "use RUN --mount=type=secret,id=…")
    }

    /// All there are, for each of the three protocols.
    static let maximumPorts = 3 * 65_536

    /// EXPOSE port[/protocol]…
    mutating func expose() throws(Mistake) -> Instruction.Kind {
        _ = try flags([])
        var words: [Word] = []
        var count = 0
        for fragment in try plainWords() {
            let word = try plainWord(fragment)
            if let literal = word.literal {
                do { count += try ExposedPort.parse(literal).range.count } catch {
                    throw Mistake(word.error(.invalid, error.message, suggestion: error.hint))
                }
                if literal != literal.lowercased() {
                    warn(.exposeProtoCasing, at: fragment, "the protocol is not in lower case", suggestion: "write \(literal.lowercased())")
                }
            }
            words.append(word)
        }
        guard !words.isEmpty else { throw missing("needs a port", example: "EXPOSE 80/tcp") }
        guard words.count <= Self.maximumPorts, count <= Self.maximumPorts else {
            throw rest.error(.tooLarge, at: 0, "EXPOSE has more than \(Self.maximumPorts) ports", suggestion: "expose what is used")
        }
        return .expose(words)
    }

    /// VOLUME path…
    func volume() throws(Mistake) -> Instruction.Kind {
        _ = try flags([])
        let words = try words()
        guard !words.isEmpty else { throw missing("needs a path", example: "VOLUME /data") }
        for word in words where word.literal?.allSatisfy(\.isWhitespace) == true {
            throw Mistake(word.error(.invalid, "the path of a volume is empty", suggestion: "write VOLUME /data"))
        }
        return .volume(words)
    }

    func stopSignal() throws(Mistake) -> Instruction.Kind {
        let word = try wholeWord()
        if let literal = word.literal {
            do { _ = try StopSignal(parsing: literal) } catch {
                throw Mistake(word.error(.invalid, error.message, suggestion: error.hint))
            }
        }
        return .stopSignal(word)
    }

    func workingDirectory() throws(Mistake) -> Instruction.Kind {
        let word = try wholeWord()
        if word.literal?.isEmpty == true {
            throw Mistake(word.error(.invalid, "the path is empty", suggestion: "write WORKDIR /folder"))
        }
        return .workingDirectory(word)
    }

    /// MAINTAINER name: all of the line, nothing expanded.
    mutating func maintainer() throws(Mistake) -> Instruction.Kind {
        _ = try flags([])
        guard !rest.scalars.isEmpty else {
            throw missing("needs a name", example: "LABEL org.opencontainers.image.authors=\"…\"")
        }
        warn(
            .maintainerDeprecated, at: statement.keyword, "MAINTAINER is deprecated",
            suggestion: "write LABEL org.opencontainers.image.authors=\"\(SourceText.shown(rest.string))\"")
        return .maintainer(rest.string)
    }

    /// ONBUILD instruction
    mutating func onBuild() throws(Mistake) -> Instruction.Kind {
        _ = try flags([])
        guard !rest.scalars.isEmpty else { throw missing("needs an instruction", example: "ONBUILD COPY . /app") }
        let inner = try Statement(rest, escape: escape)
        if ["ONBUILD", "FROM", "MAINTAINER"].contains(inner.name) {
            throw inner.keyword.error(
                .invalid, at: 0, "\(inner.name) cannot be a trigger", suggestion: "ONBUILD takes every other instruction")
        }
        var reader = InstructionReader(
            statement: inner, documents: documents, escape: escape, location: location)
        let instruction = try reader.instruction()
        warnings += reader.warnings
        let text = documents.reduce(rest.string) { text, document in
            "\(text)\n\(document.content)\(document.marker.name)"
        }
        return .onBuild(OnBuildTrigger(text: text, instruction: instruction))
    }
}
