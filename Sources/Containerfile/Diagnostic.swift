import Diagnostics

/// One mistake, or one warning, in a Containerfile or an ignore file.
public struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
    public enum Severity: String, Sendable, Hashable {
        case error
        case warning
    }

    public var severity: Severity
    /// Of a warning that can be switched off by `# check=skip=…`.
    public var check: Check?
    public var file: String
    /// From 1.
    public var line: Int
    /// From 1, counted in Unicode scalars.
    public var column: Int
    public var message: String
    /// The offending line, cut when it is very long, without control characters.
    public var source: String
    /// Where in `source` the caret goes, from 1.
    public var caret: Int
    /// What to do about it, when there is something to say.
    public var suggestion: String?

    public init(
        severity: Severity = .error, check: Check? = nil, file: String, line: Int, column: Int, message: String, source: String, caret: Int,
        suggestion: String?
    ) {
        self.severity = severity
        self.check = check
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.source = source
        self.caret = caret
        self.suggestion = suggestion
    }

    /// `file:line:column: error: message`, the source line with a caret below, and the suggestion.
    public var description: String {
        let name = check.map { " [\($0.rawValue)]" } ?? ""
        return SourceExcerpt.text(
            "\(file):\(line):\(column): \(severity.rawValue): \(message)\(name)", line: line, source: source, caret: caret,
            suggestion: suggestion)
    }
}

/// What is checked in a file that can be built: the names the reference gives to its build checks.
public enum Check: String, Sendable, Hashable, CaseIterable {
    case consistentInstructionCasing = "ConsistentInstructionCasing"
    case exposeProtoCasing = "ExposeProtoCasing"
    case fromAsCasing = "FromAsCasing"
    case jsonArgsRecommended = "JSONArgsRecommended"
    case legacyKeyValueFormat = "LegacyKeyValueFormat"
    case maintainerDeprecated = "MaintainerDeprecated"
    case multipleInstructionsDisallowed = "MultipleInstructionsDisallowed"
    case noEmptyContinuation = "NoEmptyContinuation"
    case reservedStageName = "ReservedStageName"
    case secretsUsedInArgOrEnv = "SecretsUsedInArgOrEnv"
    case stageNameCasing = "StageNameCasing"
    case undefinedArgInFrom = "UndefinedArgInFrom"
    case workdirRelativePath = "WorkdirRelativePath"
}

/// A Containerfile that cannot be used; `description` shows every mistake found.
public struct ContainerfileError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of mistake the first one is; callers switch on this, never on prose.
    public enum Code: String, Sendable, Hashable {
        /// Not readable as a Containerfile: encoding, control characters, an open heredoc or quote, an unknown instruction.
        case syntax
        /// Bigger, longer or deeper than a Containerfile may be.
        case tooLarge
        /// An instruction, a flag or a value that is not allowed there.
        case invalid
        /// Something the reference knows and this builder does not do.
        case unsupported
        /// A stage, target or base that does not fit the others.
        case stage
        /// A variable could not be expanded with the values given.
        case expansion
    }

    public let code: Code
    /// Never empty; in the order of the file.
    public let diagnostics: [Diagnostic]

    public init(code: Code, diagnostics: [Diagnostic]) {
        self.code = code
        self.diagnostics = diagnostics
    }

    /// The first mistake and how many there are, on one line.
    public var message: String {
        guard let first = diagnostics.first else { return "the Containerfile is not valid" }
        let more = diagnostics.count > 1 ? " (and \(diagnostics.count - 1) more)" : ""
        return "\(first.file):\(first.line):\(first.column): \(first.message)\(more)"
    }

    public var hint: String {
        diagnostics.first?.suggestion ?? "correct the file; docs/containerfile.md says what is supported"
    }

    public var description: String { diagnostics.map(\.description).joined(separator: "\n\n") }
}
