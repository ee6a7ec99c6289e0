internal import Yams

extension YAMLTree {
    /// What Yams reports, in our form.
    static func syntaxError(_ error: any Error, _ source: SourceText) -> PipelineError {
        guard let error = error as? YamlError else {
            return failure(.syntax, source, 1, 1, "the file is not YAML", nil)
        }
        switch error {
        case .duplicatedKeysInMapping(let duplicates, let context):
            return duplicateKeys(duplicates, context.mark, source)
        case .composer(_, let problem, let mark, _) where problem.contains("another document"):
            return failure(
                .syntax, source, mark.line, mark.column, "a second document begins here",
                "one file is one pipeline; remove '---' or move the rest into its own file")
        case .composer(_, let problem, let mark, _) where problem.contains("undefined alias"):
            return failure(
                .syntax, source, mark.line, mark.column, "anchors and aliases are not supported",
                "put text that begins with '*' into quotes")
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            return problemError(context, problem, mark, source)
        case .reader(let problem, _, _, _):
            return failure(.syntax, source, 1, 1, problem, nil)
        default:
            return failure(.syntax, source, 1, 1, "the file is not YAML", nil)
        }
    }

    private static func problemError(
        _ context: YamlError.Context?, _ problem: String, _ mark: Mark, _ source: SourceText
    ) -> PipelineError {
        let text = source.line(mark.line).unicodeScalars
        // A tab in the indentation is what is wrong more often than what libyaml says.
        if let tab = Array(text.prefix { $0 == " " || $0 == "\t" }).firstIndex(of: "\t") {
            return failure(.syntax, source, mark.line, tab + 1, "a tab in the indentation", "indent with spaces")
        }
        if problem.contains("nesting") || problem.contains("maximum") {
            return failure(
                .tooLarge, source, mark.line, mark.column,
                "nested more than \(PipelineParser.maximumDepth) deep", nil)
        }
        // What was opened and never closed is a better place than where the file ended.
        if let context, problem.contains("end of stream") {
            return failure(
                .syntax, source, context.mark.line, context.mark.column, "the quote is not closed", "close it")
        }
        if let context, problem.contains("expected ',' or") {
            let bracket = problem.contains("]") ? "[" : "{"
            return failure(
                .syntax, source, mark.line, mark.column, "\(problem) \(context.text)",
                "the '\(bracket)' of line \(context.mark.line), column \(context.mark.column) is not closed, "
                    + "or a comma or a quote is missing")
        }
        let during = context.map { " \($0.text)" } ?? ""
        return failure(.syntax, source, mark.line, mark.column, "\(problem)\(during)", advice(for: problem))
    }

    private static func advice(for problem: String) -> String? {
        if problem.contains("mapping values are not allowed") {
            return "check the indentation, and quote text that contains ': '"
        }
        if problem.contains("cannot start any token") { return "put text that begins with @, ` or % into quotes" }
        if problem.contains("did not find expected key") || problem.contains("could not find expected ':'") {
            return "check the indentation of this line and of the one before"
        }
        if problem.contains("did not find expected '-' indicator") {
            return "check the indentation: the line neither continues the entry before nor begins one with '- '"
        }
        return nil
    }

    /// Yams names the first use; the mistake is the second.
    private static func duplicateKeys(_ keys: [String], _ first: Mark, _ source: SourceText) -> PipelineError {
        let key = keys.first ?? ""
        let suggestion = "the first is in line \(first.line); keep one"
        func isKey(_ rest: Substring.UnicodeScalarView) -> Bool {
            var rest = rest
            if let quote = rest.first, quote == "\"" || quote == "'" { rest = rest.dropFirst() }
            guard rest.starts(with: key.unicodeScalars) else { return false }
            return rest.dropFirst(key.unicodeScalars.count).first.map { " :\"'".unicodeScalars.contains($0) } ?? false
        }
        for number in first.line...max(first.line, source.lines.count) {
            let text = Substring(source.line(number)).unicodeScalars
            // In the same column of a later line, or further on in the same line.
            let indent = text.prefix { $0 == " " || $0 == "-" }.count
            if number > first.line {
                if indent == first.column - 1, isKey(text.dropFirst(indent)) {
                    return failure(
                        .syntax, source, number, indent + 1, "the key '\(key)' is given twice", suggestion)
                }
                continue
            }
            var column = first.column
            var rest = text.dropFirst(first.column)
            while !rest.isEmpty {
                column += 1
                let previous = text.dropFirst(column - 2).first
                if previous.map({ " ,{".unicodeScalars.contains($0) }) ?? false, isKey(rest) {
                    return failure(.syntax, source, number, column, "the key '\(key)' is given twice", suggestion)
                }
                rest = rest.dropFirst()
            }
        }
        return failure(
            .syntax, source, first.line, first.column, "the key '\(key)' is given twice", "keep one of them")
    }
}
