/// Reads quotes, escapes and substitutions of one word.
///
/// Follows BuildKit's rules rather than a shell's: an escape before any character stands for that character; in double
/// quotes only before `"`, `$` and itself.
struct WordParser {
    enum Style {
        /// Quotes and escapes are read.
        case word
        /// A heredoc's body: quotes are ordinary, the escape is a backslash whatever the directive says.
        case heredoc
    }

    private enum Escapes {
        case removed
        /// In patterns: kept, as backslashes.
        case pattern
        /// In replacements: kept as written.
        case kept
    }

    static let maximumDepth = 32

    private let fragment: Fragment
    private let escape: Unicode.Scalar
    private let style: Style
    private var index = 0
    private var depth = 0

    private init(_ fragment: Fragment, escape: Escape, style: Style) {
        self.fragment = fragment
        self.escape = style == .heredoc ? "\\" : Unicode.Scalar(escape.rawValue)
        self.style = style
    }

    static func parse(_ fragment: Fragment, escape: Escape, style: Style = .word) throws(Mistake) -> Word {
        var parser = WordParser(fragment, escape: escape, style: style)
        let parts = try parser.parts(until: nil, escapes: .removed)
        let place = fragment.place(at: 0)
        return Word(source: fragment.string, line: place.line, column: place.column, parts: parts, text: fragment.text)
    }

    /// A word in which nothing is special.
    static func literal(_ fragment: Fragment) -> Word {
        let place = fragment.place(at: 0)
        return Word(
            source: fragment.string, line: place.line, column: place.column,
            parts: [.literal(fragment.string, isRaw: true)], text: fragment.text)
    }

    private var next: Unicode.Scalar? { index < fragment.scalars.count ? fragment.scalars[index] : nil }

    /// Reads up to `stop`, which is taken too, or to the end when it is nil.
    private mutating func parts(until stop: Unicode.Scalar?, escapes: Escapes) throws(Mistake) -> [Word.Part] {
        var parts: [Word.Part] = []
        var plain = String.UnicodeScalarView()
        func flushed(_ text: String.UnicodeScalarView) -> [Word.Part] {
            text.isEmpty ? [] : [.literal(String(text), isRaw: false)]
        }
        while let scalar = next {
            if scalar == stop {
                index += 1
                return parts + flushed(plain)
            }
            switch scalar {
            case "$":
                parts += flushed(plain)
                plain.removeAll()
                parts.append(try substitution())
            case "'" where style == .word:
                parts += flushed(plain)
                plain.removeAll()
                parts.append(try singleQuoted())
            case "\"" where style == .word:
                parts += flushed(plain)
                plain.removeAll()
                parts.append(try doubleQuoted())
            case escape:
                index += 1
                let escaped = next
                if escaped != nil { index += 1 }
                var text = String.UnicodeScalarView()
                switch escapes {
                case .removed: break
                case .pattern: text.append("\\")
                case .kept: text.append(escape)
                }
                if let escaped { text.append(escaped) }
                parts += flushed(plain)
                plain.removeAll()
                parts.append(.literal(String(text), isRaw: true))
            default:
                plain.append(scalar)
                index += 1
            }
        }
        if let stop {
            throw fragment.error(
                .syntax, at: index, "the substitution is not closed: '\(stop)' is missing",
                suggestion: "write ${name…}, or \(escape)$ for a dollar sign")
        }
        return parts + flushed(plain)
    }

    private mutating func singleQuoted() throws(Mistake) -> Word.Part {
        let start = index
        index += 1
        var text = String.UnicodeScalarView()
        while let scalar = next {
            index += 1
            if scalar == "'" { return .literal(String(text), isRaw: true) }
            text.append(scalar)
        }
        throw fragment.error(
            .syntax, at: start, "the single quote is not closed",
            suggestion: "close it with ', or write \(escape)' for the character")
    }

    private mutating func doubleQuoted() throws(Mistake) -> Word.Part {
        let start = index
        index += 1
        var parts: [Word.Part] = []
        var text = String.UnicodeScalarView()
        func flush() {
            if !text.isEmpty { parts.append(.literal(String(text), isRaw: true)) }
            text.removeAll()
        }
        while let scalar = next {
            switch scalar {
            case "\"":
                index += 1
                flush()
                return .quoted(parts)
            case "$":
                flush()
                parts.append(try substitution())
            case escape:
                index += 1
                if let escaped = next, escaped == "\"" || escaped == "$" || escaped == escape {
                    text.append(escaped)
                    index += 1
                } else if next != nil {
                    text.append(escape)
                }
            default:
                text.append(scalar)
                index += 1
            }
        }
        throw fragment.error(
            .syntax, at: start, "the double quote is not closed",
            suggestion: "close it with \", or write \(escape)\" for the character")
    }

    /// `$name` or `${…}`; a `$` before anything else is itself.
    private mutating func substitution() throws(Mistake) -> Word.Part {
        let start = index
        index += 1
        guard next == "{" else {
            let name = variableName()
            return name.isEmpty ? .literal("$", isRaw: true) : .variable(name)
        }
        index += 1
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else {
            throw fragment.error(.tooLarge, at: start, "substitutions are nested deeper than \(Self.maximumDepth)")
        }
        let name = variableName()
        guard !name.isEmpty, let operation = next else {
            throw fragment.error(
                .syntax, at: start, next == nil ? "'}' is missing" : "the substitution names no variable",
                suggestion: "write ${name}, or \(escape)$ for a dollar sign")
        }
        index += 1
        switch operation {
        case "}": return .variable(name)
        case ":":
            guard let after = next, let condition = Self.condition(after) else {
                throw unknownOperation(at: start)
            }
            index += 1
            return .conditional(
                name, condition, emptyIsUnset: true, word: try parts(until: "}", escapes: .removed))
        case "-", "+", "?":
            return .conditional(
                name, Self.condition(operation) ?? .required, emptyIsUnset: false,
                word: try parts(until: "}", escapes: .removed))
        case "#", "%":
            let isLongest = next == operation
            if isLongest { index += 1 }
            let pattern = try pattern(until: "}")
            return .trimmed(name, fromEnd: operation == "%", longest: isLongest, pattern: pattern)
        case "/":
            let all = next == "/"
            if all { index += 1 }
            let pattern = try pattern(until: "/")
            return .replaced(
                name, all: all, pattern: pattern, replacement: try parts(until: "}", escapes: .kept))
        default: throw unknownOperation(at: start)
        }
    }

    private mutating func pattern(until stop: Unicode.Scalar) throws(Mistake) -> [Word.Part] {
        let start = index
        let parts = try parts(until: stop, escapes: .pattern)
        var literal = ""
        for part in parts {
            guard case .literal(let text, _) = part else { return parts }
            literal += text
        }
        if let wrong = ShellPattern.invalidEscape(in: literal) {
            throw fragment.error(
                .syntax, at: start, "\(SourceText.quoted(wrong)) is no escape in a pattern",
                suggestion: "only *, ?, \\, / and } are escaped there")
        }
        return parts
    }

    private static func condition(_ scalar: Unicode.Scalar) -> Word.Condition? {
        switch scalar {
        case "-": .whenUnset
        case "+": .whenSet
        case "?": .required
        default: nil
        }
    }

    private func unknownOperation(at start: Int) -> Mistake {
        fragment.error(
            .syntax, at: start, "this substitution is not known",
            suggestion: "known are ${x} ${x:-word} ${x:+word} ${x:?word} ${x#pattern} ${x%pattern} ${x/pattern/word}")
    }

    /// Letters, digits and '_'; or digits alone; or one of the shell's special parameters (never set here).
    private mutating func variableName() -> String {
        var name = String.UnicodeScalarView()
        while let scalar = next {
            if name.isEmpty {
                if Self.isDigit(scalar) {
                    while let digit = next, Self.isDigit(digit) {
                        name.append(digit)
                        index += 1
                    }
                    return String(name)
                }
                if "@*#?-$!".unicodeScalars.contains(scalar) {
                    index += 1
                    return String(scalar)
                }
            }
            guard scalar == "_" || Self.isDigit(scalar) || Self.isLetter(scalar) else { break }
            name.append(scalar)
            index += 1
        }
        return String(name)
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII ? scalar >= "0" && scalar <= "9" : scalar.properties.generalCategory == .decimalNumber
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return (scalar >= "a" && scalar <= "z") || (scalar >= "A" && scalar <= "Z") }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return true
        default: return false
        }
    }
}
