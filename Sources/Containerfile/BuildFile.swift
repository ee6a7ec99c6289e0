/// A parsed Containerfile (Dockerfile): what it says, in order, nothing expanded.
///
/// Follows the Dockerfile reference that BuildKit documents. Variables are expanded when an instruction runs
/// (``Word/expanded(in:)``); which stage builds on which is decided once the build arguments are known (``BuildGraph``).
public struct BuildFile: Sendable {
    /// The file's path, as messages show it.
    public var file: String
    public var directives: Directives
    /// The ARG instructions before the first FROM, in order: for FROM lines only, unless a stage declares the name again.
    public var globalArguments: [ArgumentDeclaration]
    /// At least one, in the order of the file.
    public var stages: [Stage]
    /// What works but should be written in another way, in the order of the file.
    public var warnings: [Diagnostic]

    let source: SourceText

    /// An error about the file as a whole, or about a line of it.
    public func error(
        _ code: ContainerfileError.Code, line: Int = 1, _ message: String, suggestion: String? = nil
    ) -> ContainerfileError {
        ContainerfileError(
            code: code, diagnostics: [source.diagnostic(line: line, column: 1, message, suggestion: suggestion)])
    }
}

/// The parser directives at the head of a file (`# escape=…`).
public struct Directives: Sendable, Hashable {
    /// The frontend image asked for (`# syntax=…`); read, shown, and not fetched.
    public var syntax: String?
    /// The escape character, backslash or backtick.
    public var escape: Escape
    /// The checks to skip or to turn into errors (`# check=…`), as written.
    public var check: String?

    public init(syntax: String? = nil, escape: Escape = .backslash, check: String? = nil) {
        self.syntax = syntax
        self.escape = escape
        self.check = check
    }
}

/// What escapes a character in a word and joins lines at their end.
public enum Escape: UInt8, Sendable, Hashable {
    case backslash = 0x5c
    case backtick = 0x60
}

/// One FROM and what follows it.
public struct Stage: Sendable, Hashable {
    /// The position in the file, from 0.
    public var index: Int
    /// The name given by AS, in lower case.
    public var name: String?
    /// The base, unexpanded; expanded with the global arguments it is `scratch`, an earlier stage or an image (``BuildGraph``).
    public var base: Word
    /// The value of `--platform`, unexpanded.
    public var platform: Word?
    public var instructions: [Instruction]
    /// Of the FROM line.
    public var location: SourceRange
    /// The FROM line as written, lines joined.
    public var text: String

    public init(
        index: Int, name: String?, base: Word, platform: Word?, instructions: [Instruction], location: SourceRange,
        text: String
    ) {
        self.index = index
        self.name = name
        self.base = base
        self.platform = platform
        self.instructions = instructions
        self.location = location
        self.text = text
    }
}

/// Lines of the file, from 1, both inclusive (heredocs belong to their instruction).
public struct SourceRange: Sendable, Hashable {
    public var first: Int
    public var last: Int

    public init(first: Int, last: Int) {
        self.first = first
        self.last = last
    }
}
