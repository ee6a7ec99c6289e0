extension Word {
    /// The most scalars an expanded word may have: variables can be made of variables.
    public static let maximumExpansion = 1 << 20

    /// The value with quotes and escapes taken away and variables replaced; an unset variable is empty.
    ///
    /// - Parameter environment: ENV and ARG values by name (``StageScope/variables``).
    /// - Throws: ``ContainerfileError`` with code `expansion`: `${name?…}` without a value, or a result too long.
    public func expanded(in environment: [String: String]) throws(ContainerfileError) -> String {
        var expansion = Expansion(environment: environment, word: self)
        try expansion.append(parts)
        return expansion.finish().joined
    }

    /// As ``expanded(in:)``, then split at white space that was neither quoted nor escaped (EXPOSE).
    public func expandedWords(in environment: [String: String]) throws(ContainerfileError) -> [String] {
        var expansion = Expansion(environment: environment, word: self)
        try expansion.append(parts)
        return expansion.finish().words
    }

    private struct Expansion {
        let environment: [String: String]
        let word: Word
        private var joined = ""
        private var words: [String] = []
        private var current: String?

        init(environment: [String: String], word: Word) {
            self.environment = environment
            self.word = word
        }

        consuming func finish() -> (joined: String, words: [String]) {
            if let current { words.append(current) }
            return (joined, words)
        }

        mutating func append(_ parts: [Part], isRaw: Bool = false) throws(ContainerfileError) {
            for part in parts {
                switch part {
                case .literal(let text, let isQuoted): try append(text, isRaw: isRaw || isQuoted)
                case .quoted(let parts):
                    // A pair of quotes makes a word, even an empty one.
                    try append("", isRaw: true)
                    try append(parts, isRaw: true)
                case .variable(let name): try append(environment[name] ?? "", isRaw: isRaw)
                case .conditional(let name, let condition, let emptyIsUnset, let word):
                    try append(value(name, condition, emptyIsUnset: emptyIsUnset, word), isRaw: isRaw)
                case .trimmed(let name, let fromEnd, let longest, let pattern):
                    let pattern = try text(of: pattern), value = environment[name] ?? ""
                    let trimmed = try matching(pattern) { pattern throws(ShellPattern.Failure) in
                        fromEnd
                            ? try pattern.removingSuffix(of: value, longest: longest)
                            : try pattern.removingPrefix(of: value, longest: longest)
                    }
                    try append(trimmed, isRaw: isRaw)
                case .replaced(let name, let all, let pattern, let replacement):
                    let pattern = try text(of: pattern), replacement = try text(of: replacement)
                    let value = environment[name] ?? ""
                    let replaced = try matching(pattern) { pattern throws(ShellPattern.Failure) in
                        try pattern.replacing(in: value, all: all, with: replacement, maximum: Word.maximumExpansion)
                    }
                    guard let replaced else { throw tooLong }
                    try append(replaced, isRaw: isRaw)
                }
            }
        }

        private func matching<Result>(
            _ text: String, _ body: (ShellPattern) throws(ShellPattern.Failure) -> Result
        ) throws(ContainerfileError) -> Result {
            do {
                return try body(ShellPattern(text))
            } catch {
                switch error {
                case .escape(let escape):
                    throw word.error(
                        .expansion, "\(SourceText.quoted(escape)) is no escape in a pattern",
                        suggestion: "only *, ?, \\, / and } are escaped there")
                case .work:
                    throw word.error(.expansion, "matching the pattern takes too long; use a simpler one")
                }
            }
        }

        private func text(of parts: [Part]) throws(ContainerfileError) -> String {
            var nested = Expansion(environment: environment, word: word)
            try nested.append(parts)
            return nested.joined
        }

        private func value(
            _ name: String, _ condition: Condition, emptyIsUnset: Bool, _ word: [Part]
        ) throws(ContainerfileError) -> String {
            let value = environment[name]
            let isSet = value != nil && !(emptyIsUnset && value?.isEmpty == true)
            switch condition {
            case .whenUnset: return isSet ? value ?? "" : try text(of: word)
            case .whenSet: return isSet ? try text(of: word) : ""
            case .required:
                if isSet { return value ?? "" }
                let reason = try text(of: word)
                let standard = value == nil ? "is not set" : "is empty"
                throw self.word.error(
                    .expansion, "\(name): \(reason.isEmpty ? standard : reason)",
                    suggestion: "give a value with --build-arg \(name)=… or a default with ARG \(name)=…")
            }
        }

        private var tooLong: ContainerfileError {
            word.error(.expansion, "the value becomes longer than \(Word.maximumExpansion) bytes")
        }

        private mutating func append(_ text: String, isRaw: Bool) throws(ContainerfileError) {
            guard joined.utf8.count + text.utf8.count <= Word.maximumExpansion else { throw tooLong }
            joined += text
            if isRaw {
                current = (current ?? "") + text
                return
            }
            for scalar in text.unicodeScalars {
                if scalar.properties.isWhitespace {
                    if let word = current { words.append(word) }
                    current = nil
                } else {
                    current = current ?? ""
                    current?.unicodeScalars.append(scalar)
                }
            }
        }
    }
}
