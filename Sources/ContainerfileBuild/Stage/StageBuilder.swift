import BlockingQueue
import ContainerRuntime
import Containerfile
import OCIModel

/// Carries out the instructions of one stage, one after the other.
struct StageBuilder {
    let session: BuildSession
    /// The Containerfile's path, for messages.
    let file: String
    let stage: String
    /// The file tree a name in `--from` or `from=` stands for.
    let origin: @Sendable (String, Instruction) async throws -> [BuiltLayer]
    var state: StageState
    var scope: StageScope
    /// How many instructions the stage has, FROM and triggers included, and how many are over.
    let count: Int
    var number: Int
    /// CMD was given in this stage: a later ENTRYPOINT keeps it.
    private var commandIsGiven = false

    init(
        session: BuildSession, file: String, stage: String, count: Int, number: Int, state: StageState, scope: StageScope,
        origin: @escaping @Sendable (String, Instruction) async throws -> [BuiltLayer]
    ) {
        self.session = session
        self.file = file
        self.stage = stage
        self.count = count
        self.number = number
        self.state = state
        self.scope = scope
        self.origin = origin
    }

    /// Carries out one instruction; what goes wrong names its line.
    mutating func perform(_ instruction: Instruction) async throws {
        number += 1
        let step = BuildStep(
            stage: stage, number: number, count: count, text: instruction.text, line: instruction.location.first)
        await session.report(.started(step))
        let clock = ContinuousClock()
        let begun = clock.now
        do {
            let outcome = try await perform(instruction.kind, instruction, step)
            await session.report(.finished(step, outcome, begun.duration(to: clock.now)))
        } catch {
            throw Self.placed(error, file, instruction.location.first)
        }
    }

    /// The error with the place in the file, unless it has one.
    static func placed(_ error: any Error, _ file: String, _ line: Int) -> any Error {
        switch error {
        case is CancellationError, is ContainerfileError: return error
        case let error as InvalidValue:
            return ContainerfileBuildError(.invalidValue, error.message, hint: error.hint, file: file, line: line)
        case var error as ContainerfileBuildError:
            if error.line == nil { (error.file, error.line) = (file, line) }
            return error
        default: return ContainerfileBuildError(.failed, "\(error)", file: file, line: line)
        }
    }

    private mutating func perform(
        _ kind: Instruction.Kind, _ instruction: Instruction, _ step: BuildStep
    ) async throws -> BuildEvent.Outcome {
        switch kind {
        case .run(let run): return try await perform(run, instruction, step)
        case .copy(let copy): return try await perform(copy, instruction, step)
        case .add(let add): return try await perform(add, step)
        case .workingDirectory(let word): return try await changeFolder(try word.expanded(in: variables), step)
        default:
            try configure(kind)
            record(step, nil, isEmpty: true)
            return .done
        }
    }

    /// What `$NAME` stands for.
    var variables: [String: String] { scope.variables }

    /// Instructions that change the image's config only.
    private mutating func configure(_ kind: Instruction.Kind) throws {
        switch kind {
        case .argument(let declarations): for declaration in declarations { try scope.declare(declaration) }
        case .environment(let pairs):
            try scope.set(pairs)
            state.execution.env = scope.environment.map { "\($0.name)=\($0.value)" }
        case .label(let pairs):
            for (name, value) in try StageScope.expand(pairs, in: variables) {
                state.execution.labels = (state.execution.labels ?? [:]).merging([name: value]) { $1 }
            }
        case .command(let line):
            state.execution.cmd = arguments(line)
            commandIsGiven = true
        case .entrypoint(let line):
            let words = arguments(line)
            state.execution.entrypoint = words.isEmpty ? nil : words
            if !commandIsGiven { state.execution.cmd = nil }
        case .user(let word): state.execution.user = try word.expanded(in: variables)
        case .volume(let words):
            for word in words {
                let path = try word.expanded(in: variables)
                guard !path.isEmpty else { throw word.error(.invalid, "the volume is empty", suggestion: "name a folder") }
                state.execution.volumes = (state.execution.volumes ?? [:]).merging([path: .init()]) { $1 }
            }
        case .expose(let words):
            for word in words {
                for text in try word.expandedWords(in: variables) {
                    let ports: [String]
                    do { ports = try ExposedPort.ports(parsing: text) } catch {
                        throw word.error(.invalid, error.message, suggestion: error.hint)
                    }
                    for port in ports { state.execution.exposedPorts = (state.execution.exposedPorts ?? [:]).merging([port: .init()]) { $1 } }
                }
            }
        case .stopSignal(let word):
            state.execution.stopSignal = try word.expanded(in: variables, as: StopSignal.init(parsing:)).text
        case .healthcheck(let check): state.execution.healthcheck = healthcheck(check)
        case .shell(let words): state.execution.shell = words
        case .onBuild(let trigger): state.execution.onBuild = (state.execution.onBuild ?? []) + [trigger.text]
        case .maintainer(let name): state.author = name
        case .run, .copy, .add, .workingDirectory: break
        }
    }

    private func arguments(_ line: CommandLine) -> [String] {
        switch line {
        case .exec(let words): words
        case .shell(let text): state.shell + [text]
        }
    }

    private func healthcheck(_ check: Healthcheck) -> ExecutionConfig.Healthcheck {
        func nanoseconds(_ duration: Duration?) -> Int64? {
            duration.map { $0.components.seconds * 1_000_000_000 + $0.components.attoseconds / 1_000_000_000 }
        }
        switch check {
        case .none: return .init(test: ["NONE"])
        case .command(let line, let timing):
            let test: [String] =
                switch line {
                case .exec(let words): ["CMD"] + words
                case .shell(let text): ["CMD-SHELL", text]
                }
            return .init(
                test: test, interval: nanoseconds(timing.interval), timeout: nanoseconds(timing.timeout),
                startPeriod: nanoseconds(timing.startPeriod), startInterval: nanoseconds(timing.startInterval),
                retries: timing.retries)
        }
    }

    /// Notes what was done in the image's history, and its layer.
    mutating func record(_ step: BuildStep, _ layer: BuiltLayer?, isEmpty: Bool = false) {
        if let layer { state.layers.append(layer) }
        state.history.append(
            History(created: session.created, createdBy: step.text, comment: "slipway", emptyLayer: layer == nil ? true : nil))
    }

    private mutating func changeFolder(_ path: String, _ step: BuildStep) async throws -> BuildEvent.Outcome {
        let absolute = state.absolute(path.hasSuffix("/") && path.count > 1 ? String(path.dropLast()) : path)
        let folder = absolute.count > 1 && absolute.hasSuffix("/") ? String(absolute.dropLast()) : absolute
        state.execution.workingDir = folder
        guard folder != "/" else {
            record(step, nil)
            return .done
        }
        var key = CacheKey("WORKDIR", below: state.layers, for: session.request)
        let user = state.execution.user ?? ""
        key.add("folder", folder)
        key.add("user", user)
        let (session, layers) = (session, state.layers)
        let (layer, outcome) = try await session.layer(for: key.digest()) {
            try await session.withRoot(of: layers) { mounted in
                try await session.queue.run { _ in
                    let root = TreeRoot(path: mounted.root)
                    let owner = try Accounts(of: root).user(user)
                    try TreeWriter(root: root, owner: owner, time: session.request.timestamp).makeFolder(folder)
                }
                return try await session.layer(of: mounted.changes)
            }
        }
        record(step, layer)
        return outcome
    }
}
