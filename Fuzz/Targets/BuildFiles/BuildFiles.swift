import Containerfile
import Driver
import OCIModel

/// Reads any bytes as a Containerfile and as an ignore file, and then does all that can be done with them without a build.
/// Whatever happens is a `ContainerfileError` that says where and what.
@_cdecl("BuildFiles_main")
func main(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 {
    var count = count
    var arguments = arguments
    return LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
        let bytes = Array(UnsafeBufferPointer(start: bytes, count: count))
        containerfile(bytes)
        ignoreFile(bytes)
        return 0
    }
}

private func containerfile(_ bytes: [UInt8]) {
    let file: BuildFile
    do {
        file = try ContainerfileParser.parse(bytes, file: "Containerfile")
    } catch {
        return check(error, bytes)
    }
    precondition(!file.stages.isEmpty)
    for warning in file.warnings { check(warning) }
    var last = 0
    for stage in file.stages {
        for location in [stage.location] + stage.instructions.map(\.location) {
            precondition(location.first > last && location.last >= location.first, "instructions overlap")
            last = location.last
        }
        precondition(stage.index == 0 || stage.name == nil || file.stages.filter { $0.name == stage.name }.count == 1)
    }
    precondition(last <= bytes.count { $0 == 0x0a } + 1)
    let arguments = BuildArguments(
        values: ["a": "given", "b": "", "HTTP_PROXY": "http://p"], target: .current, build: .current)
    do {
        let graph = try BuildGraph(file, arguments: arguments)
        precondition(graph.order.last == graph.target)
        for index in graph.order {
            precondition(graph.nodes[index].dependencies.allSatisfy { $0 < index && graph.order.contains($0) })
        }
        try run(graph, arguments)
    } catch {
        check(error, bytes)
    }
}

/// Every word of every stage is expanded, as a build would.
private func run(_ graph: BuildGraph, _ arguments: BuildArguments) throws(ContainerfileError) {
    for node in graph.nodes {
        var scope = StageScope(base: ["PATH=/bin", "a=from base"], globals: graph.globals, arguments: arguments)
        for instruction in node.triggers + node.stage.instructions {
            precondition(!instruction.text.isEmpty)
            switch instruction.kind {
            case .argument(let declarations): for declaration in declarations { try scope.declare(declaration) }
            case .environment(let pairs): try scope.set(pairs)
            case .label(let pairs): _ = try StageScope.expand(pairs, in: scope.variables)
            case .run(let run): for mount in run.mounts { _ = try mount.resolved(in: scope.variables) }
            case .copy(let copy): try files(copy.sources, copy.destination, copy.options, scope, isAdd: false)
            case .add(let add): try files(add.sources, add.destination, add.options, scope, isAdd: true)
            case .user(let word): _ = try word.expanded(in: scope.variables, as: Ownership.init(parsing:))
            case .workingDirectory(let word): _ = try word.expanded(in: scope.variables)
            case .volume(let words): for word in words { _ = try word.expanded(in: scope.variables) }
            case .expose(let words): for word in words { _ = try word.expandedWords(in: scope.variables) }
            case .stopSignal(let word): _ = try word.expanded(in: scope.variables, as: StopSignal.init(parsing:))
            case .onBuild(let trigger):
                guard let again = try? ContainerfileParser.parseTrigger(trigger.text, image: "i") else { continue }
                precondition(!again.text.isEmpty)
            case .command, .entrypoint, .healthcheck, .shell, .maintainer: break
            }
        }
        _ = scope.runEnvironment
    }
}

private func files(
    _ sources: [CopySource], _ destination: Word, _ options: CopyOptions, _ scope: StageScope, isAdd: Bool
) throws(ContainerfileError) {
    precondition(!sources.isEmpty)
    for source in sources {
        switch source {
        case .path(let word):
            if isAdd { _ = try word.expanded(in: scope.variables, as: AddOrigin.init(parsing:)) }
            let pattern = try word.expanded(in: scope.variables, as: PathPattern.init(parsing:))
            precondition(!pattern.components.contains { $0.literal == ".." || $0.literal?.contains("/") == true })
        case .heredoc(let heredoc):
            precondition(!heredoc.name.contains("/") && heredoc.name != "..")
            _ = try heredoc.content.expanded(in: scope.variables)
        }
    }
    _ = try destination.expanded(in: scope.variables)
    _ = try options.owner?.expanded(in: scope.variables, as: Ownership.init(parsing:))
    if let mode = try options.mode?.expanded(in: scope.variables, as: ModeChange.init(parsing:)) {
        precondition(mode.applied(to: 0o644, isDirectory: true) <= 0o7777)
    }
    _ = try? IgnoreRules(patterns: options.excludes)
}

private func ignoreFile(_ bytes: [UInt8]) {
    do {
        let rules = try IgnoreRules(parsing: bytes, file: ".dockerignore")
        for path in ["a", "a/b/c.txt", ".git/config", "dir/한국어", "a.b/**/x", String(decoding: bytes.prefix(64), as: UTF8.self)] {
            let isExcluded = rules.excludes(path)
            // What lies below an excluded folder is excluded as well, when no exception can bring it back.
            let folder = path.split(separator: "/").filter { $0 != "." }.reduce(rules.root) { $0.entry($1) }
            precondition(folder.isExcluded == isExcluded)
            if isExcluded, !folder.mayHoldExceptions { precondition(folder.entry("below").isExcluded) }
        }
    } catch {
        check(error, bytes)
    }
}

private func check(_ error: ContainerfileError, _ bytes: [UInt8]) {
    precondition(!error.diagnostics.isEmpty && !error.message.isEmpty && !error.hint.isEmpty)
    for diagnostic in error.diagnostics { check(diagnostic) }
}

private func check(_ diagnostic: Diagnostic) {
    precondition(diagnostic.line >= 1 && diagnostic.column >= 1 && diagnostic.caret >= 1)
    precondition(diagnostic.caret <= diagnostic.source.unicodeScalars.count + 1)
    precondition(!diagnostic.message.isEmpty)
    precondition(!diagnostic.description.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" && $0 != "\t" }, "a control character")
}
