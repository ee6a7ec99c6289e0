/// One instruction of a stage.
public struct Instruction: Sendable {
    public var kind: Kind
    public var location: SourceRange
    /// The instruction as written, its lines joined, without heredoc bodies: for progress and history.
    public var text: String
    let source: SourceText

    /// An error about this instruction, shown at its first line.
    public func error(
        _ code: ContainerfileError.Code, _ message: String, suggestion: String? = nil
    ) -> ContainerfileError {
        ContainerfileError(
            code: code,
            diagnostics: [source.diagnostic(line: location.first, column: 1, message, suggestion: suggestion)])
    }

    /// What an instruction says. FROM is not here: it begins a ``Stage``.
    public enum Kind: Sendable, Hashable {
        case argument([ArgumentDeclaration])
        case environment([KeyValue])
        case label([KeyValue])
        case run(RunInstruction)
        case copy(CopyInstruction)
        case add(AddInstruction)
        case command(CommandLine)
        /// An empty exec form takes the base's entrypoint away.
        case entrypoint(CommandLine)
        case user(Word)
        case workingDirectory(Word)
        case volume([Word])
        /// Each word may expand to several ports (``Word/expandedWords(in:)``), each parsed by ``ExposedPort``.
        case expose([Word])
        /// Expanded, to be checked with ``StopSignal``.
        case stopSignal(Word)
        case healthcheck(Healthcheck)
        /// Exec form, not empty; never expanded.
        case shell([String])
        case onBuild(OnBuildTrigger)
        /// Deprecated; the author, never expanded.
        case maintainer(String)
    }
}

extension Instruction: Hashable {
    public static func == (left: Instruction, right: Instruction) -> Bool {
        left.kind == right.kind && left.location == right.location && left.text == right.text
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(text)
        hasher.combine(location)
    }
}

/// `ARG name[=default]`.
public struct ArgumentDeclaration: Sendable, Hashable {
    public var name: String
    /// The default, expanded where the declaration runs; nil when there is none.
    public var value: Word?
    public var location: SourceRange

    public init(name: String, value: Word?, location: SourceRange) {
        self.name = name
        self.value = value
        self.location = location
    }
}

/// One pair of ENV or LABEL. Both sides are expanded; all pairs of one instruction see the environment before it.
public struct KeyValue: Sendable, Hashable {
    public var key: Word
    public var value: Word

    public init(key: Word, value: Word) {
        self.key = key
        self.value = value
    }
}

/// A command in exec or shell form; never expanded here.
public enum CommandLine: Sendable, Hashable {
    /// The argument vector.
    case exec([String])
    /// To be given as one argument to the stage's shell (SHELL, `/bin/sh -c` by default).
    case shell(String)
}

public enum Healthcheck: Sendable, Hashable {
    /// `HEALTHCHECK NONE`: a check of the base is switched off.
    case none
    case command(CommandLine, HealthcheckTiming)
}

/// The flags of HEALTHCHECK; nil is the runtime's default.
public struct HealthcheckTiming: Sendable, Hashable {
    public var interval: Duration?
    public var timeout: Duration?
    public var startPeriod: Duration?
    public var startInterval: Duration?
    public var retries: Int?

    public init(
        interval: Duration? = nil, timeout: Duration? = nil, startPeriod: Duration? = nil,
        startInterval: Duration? = nil, retries: Int? = nil
    ) {
        self.interval = interval
        self.timeout = timeout
        self.startPeriod = startPeriod
        self.startInterval = startInterval
        self.retries = retries
    }
}

/// `ONBUILD instruction`.
public struct OnBuildTrigger: Sendable, Hashable {
    /// What goes into the config's `OnBuild`: the instruction with its heredocs.
    public var text: String
    /// One element: an instruction cannot hold another one by value.
    private var box: [Instruction]

    /// The trigger, parsed; never FROM, ONBUILD or MAINTAINER.
    public var instruction: Instruction { box[0] }

    init(text: String, instruction: Instruction) {
        self.text = text
        box = [instruction]
    }
}
