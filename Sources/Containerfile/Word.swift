/// A piece of an instruction in which variables are expanded when the instruction runs.
///
/// It is already read: quotes are paired, substitutions are well formed. Two words are equal when they were written equally.
public struct Word: Sendable, CustomStringConvertible {
    /// As written, quotes and escapes included.
    public let source: String
    /// Where it begins: line and column from 1, the column in Unicode scalars.
    public let line: Int
    public let column: Int
    let parts: [Part]
    let text: SourceText

    /// What a word is made of.
    indirect enum Part: Sendable, Hashable {
        /// Never split at white space when `isRaw`: it was quoted or escaped.
        case literal(String, isRaw: Bool)
        /// `"…"`: never split.
        case quoted([Part])
        /// `$name`, `${name}`
        case variable(String)
        /// `${name-word}` and its relatives; the operator also counts an empty value as unset for `:`.
        case conditional(String, Condition, emptyIsUnset: Bool, word: [Part])
        /// `${name#pattern}` and its relatives.
        case trimmed(String, fromEnd: Bool, longest: Bool, pattern: [Part])
        /// `${name/pattern/replacement}` and `//`.
        case replaced(String, all: Bool, pattern: [Part], replacement: [Part])
    }

    enum Condition: Sendable, Hashable {
        /// `-`
        case whenUnset
        /// `+`
        case whenSet
        /// `?`
        case required
    }

    public var description: String { source }

    /// The value when no variable is in it, else nil.
    public var literal: String? {
        var value = ""
        func append(_ parts: [Part]) -> Bool {
            parts.allSatisfy { part in
                switch part {
                case .literal(let text, _): value += text
                case .quoted(let parts): return append(parts)
                case .variable, .conditional, .trimmed, .replaced: return false
                }
                return true
            }
        }
        return append(parts) ? value : nil
    }

    /// The names of the variables in it, nested ones included.
    public var variables: Set<String> {
        var names: Set<String> = []
        func collect(_ parts: [Part]) {
            for part in parts {
                switch part {
                case .literal: break
                case .quoted(let parts): collect(parts)
                case .variable(let name): names.insert(name)
                case .conditional(let name, _, _, let word):
                    names.insert(name)
                    collect(word)
                case .trimmed(let name, _, _, let pattern):
                    names.insert(name)
                    collect(pattern)
                case .replaced(let name, _, let pattern, let replacement):
                    names.insert(name)
                    collect(pattern)
                    collect(replacement)
                }
            }
        }
        collect(parts)
        return names
    }

    /// An error about this word, with its place in the file.
    public func error(_ code: ContainerfileError.Code, _ message: String, suggestion: String? = nil) -> ContainerfileError {
        ContainerfileError(
            code: code, diagnostics: [text.diagnostic(line: line, column: column, message, suggestion: suggestion)])
    }
}

extension Word: Hashable {
    public static func == (left: Word, right: Word) -> Bool {
        left.source == right.source && left.line == right.line && left.column == right.column
            && left.parts == right.parts
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(source)
        hasher.combine(line)
        hasher.combine(column)
    }
}
