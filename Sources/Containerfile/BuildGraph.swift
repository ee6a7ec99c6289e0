public import OCIModel

/// Which stage builds on which, once the build arguments are known; and which of them the target needs.
///
/// A stage refers to earlier ones only, so there are no cycles, and the order of the file is an order to build in.
public struct BuildGraph: Sendable, Hashable {
    /// What FROM, COPY --from and a mount's from lead to.
    public enum Origin: Sendable, Hashable {
        /// Nothing: an empty tree.
        case scratch
        case stage(Int)
        /// An image reference, well formed, as written; or the name of a further build context.
        case image(String)
    }

    public struct Node: Sendable, Hashable {
        public let stage: Stage
        public let base: Origin
        /// The value of `--platform`; nil: the base stage's, or the target's.
        public let platform: Platform?
        /// The triggers of a base that is a stage: they run first, as if they stood behind FROM.
        public let triggers: [Instruction]
        /// The stages this one reads, base included.
        public let dependencies: Set<Int>
    }

    /// One for each stage, in the order of the file.
    public let nodes: [Node]
    /// The stage that is the result.
    public let target: Int
    /// The stages to build, dependencies first; the target is the last.
    public let order: [Int]
    /// For ``StageScope``.
    public let globals: [String: String]

    private let names: [String: Int]

    /// Expands every FROM and finds every reference.
    ///
    /// - Parameters:
    ///   - target: a stage's name or index; nil: the last stage.
    /// - Throws: ``ContainerfileError``, code `stage` or `expansion`.
    public init(_ file: BuildFile, arguments: BuildArguments, target: String? = nil) throws(ContainerfileError) {
        var names: [String: Int] = [:]
        for stage in file.stages { if let name = stage.name { names[name] = stage.index } }
        self.names = names
        self.target = try Self.target(target, in: file, names: names)
        globals = try file.globalValues(arguments, targetStage: target ?? file.stages.last?.name ?? "")
        var nodes: [Node] = []
        // Shared by all stages of one base.
        var triggersOfBases: [Int: [Instruction]] = [:]
        for stage in file.stages {
            let base = try Self.base(of: stage, globals: globals, names: names)
            var triggers: [Instruction] = []
            var dependencies: Set<Int> = []
            if case .stage(let index) = base {
                dependencies.insert(index)
                triggers = triggersOfBases[index] ?? Self.triggers(of: nodes[index].stage)
                triggersOfBases[index] = triggers
            }
            for instruction in triggers + stage.instructions {
                for origin in try Self.origins(of: instruction, inStage: stage.index, names: names) {
                    if case .stage(let index) = origin { dependencies.insert(index) }
                }
            }
            nodes.append(
                Node(
                    stage: stage, base: base, platform: try Self.platform(of: stage, globals: globals),
                    triggers: triggers, dependencies: dependencies))
        }
        self.nodes = nodes
        var needed = Set([self.target])
        for index in stride(from: self.target, through: 0, by: -1) where needed.contains(index) {
            needed.formUnion(nodes[index].dependencies)
        }
        order = needed.sorted()
    }

    /// The stages that are not needed for the target.
    public var unused: [Int] { Set(nodes.indices).subtracting(order).sorted() }

    /// Where COPY --from or a mount's from leads, for an instruction of this stage.
    ///
    /// - Throws: ``ContainerfileError`` with code `stage`: the stage itself, a later one, or a malformed image reference.
    public func origin(
        named name: String, for instruction: Instruction, inStage index: Int
    ) throws(ContainerfileError) -> Origin {
        try Self.origin(named: name, for: instruction, inStage: index, names: names)
    }

    /// All that an instruction (also a trigger of an image) reads besides the build context.
    public func origins(of instruction: Instruction, inStage index: Int) throws(ContainerfileError) -> [Origin] {
        try Self.origins(of: instruction, inStage: index, names: names)
    }

    // MARK: Building

    private static func triggers(of stage: Stage) -> [Instruction] {
        stage.instructions.compactMap { instruction in
            guard case .onBuild(let trigger) = instruction.kind else { return nil }
            return trigger.instruction
        }
    }

    private static func target(
        _ target: String?, in file: BuildFile, names: [String: Int]
    ) throws(ContainerfileError) -> Int {
        guard let target else { return file.stages.count - 1 }
        if let index = names[target.lowercased()] { return index }
        if let index = Int(target), file.stages.indices.contains(index) { return index }
        let suggestion = Suggestion.didYouMean(target, among: names.keys.sorted(), orList: !names.isEmpty)
        guard let first = file.stages.first else {
            throw ContainerfileError(code: .stage, diagnostics: [])
        }
        throw first.base.error(
            .stage, "there is no stage \(SourceText.quoted(target)) to build",
            suggestion: suggestion ?? "name a stage with FROM … AS \(SourceText.shown(target))")
    }

    private static func base(
        of stage: Stage, globals: [String: String], names: [String: Int]
    ) throws(ContainerfileError) -> Origin {
        let name = try stage.base.expanded(in: globals)
        guard !name.isEmpty else {
            let unset = stage.base.variables.filter { globals[$0]?.isEmpty ?? true }.sorted()
            throw stage.base.error(
                .stage, "the base becomes empty",
                suggestion: unset.first.map { "give a value: ARG \($0)=… before the first FROM, or --build-arg \($0)=…" })
        }
        if name == "scratch" { return .scratch }
        if let index = names[name.lowercased()] {
            if index < stage.index { return .stage(index) }
            // A stage may bear the name of the image it is made of.
            guard index == stage.index else {
                throw stage.base.error(
                    .stage, "the stage \(SourceText.quoted(name)) is defined later", suggestion: "move it above this FROM")
            }
        }
        do { _ = try ImageReference(parsing: name) } catch {
            throw stage.base.error(
                .stage, "the base \(SourceText.quoted(name)) is no stage and no image: \(error.message)", suggestion: error.hint)
        }
        return .image(name)
    }

    private static func platform(
        of stage: Stage, globals: [String: String]
    ) throws(ContainerfileError) -> Platform? {
        try stage.platform?.expanded(in: globals, as: PlatformText.parse)
    }

    private static func origins(
        of instruction: Instruction, inStage index: Int, names: [String: Int]
    ) throws(ContainerfileError) -> [Origin] {
        var found: [Origin] = []
        switch instruction.kind {
        case .copy(let copy):
            if let from = copy.from { found.append(try origin(named: from, for: instruction, inStage: index, names: names)) }
        case .run(let run):
            for from in run.mounts.compactMap(\.from) {
                found.append(try origin(named: from, for: instruction, inStage: index, names: names, allowsIndex: false))
            }
        default: break
        }
        return found
    }

    private static func origin(
        named name: String, for instruction: Instruction, inStage index: Int, names: [String: Int], allowsIndex: Bool = true
    ) throws(ContainerfileError) -> Origin {
        if allowsIndex, name.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), !name.isEmpty {
            guard let number = Int(name), number < index else {
                throw instruction.error(
                    .stage, "there is no stage \(SourceText.quoted(name)) before this one",
                    suggestion: "stages count from 0; a name is safer: FROM … AS name")
            }
            return .stage(number)
        }
        if name == "scratch" { return .scratch }
        if let found = names[name.lowercased()] {
            guard found < index else {
                throw instruction.error(
                    .stage,
                    found == index
                        ? "a stage cannot read itself"
                        : "the stage \(SourceText.quoted(name)) is defined later", suggestion: "read from a stage above")
            }
            return .stage(found)
        }
        do { _ = try ImageReference(parsing: name) } catch {
            throw instruction.error(
                .stage, "\(SourceText.quoted(name)) is no stage and no image: \(error.message)",
                suggestion: Suggestion.didYouMean(name, among: names.keys.sorted()) ?? error.hint)
        }
        return .image(name)
    }
}
