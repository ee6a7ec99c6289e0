import Foundation
import OCIModel
import Testing

@testable import Containerfile

/// Every Containerfile of the corpus is read as `parsed.txt` says, and the corpus leaves nothing out.
@Suite struct CorpusTests {
    struct Options: Decodable {
        var arguments: [String: String]?
        var target: String?
        var secrets: [String: String]?
    }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/containerfiles")

    static func cases() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().filter { $0.first?.isNumber == true }
    }

    static func parse(_ name: String) throws -> BuildFile {
        let bytes = try Data(contentsOf: folder.appendingPathComponent(name).appendingPathComponent("Containerfile"))
        return try ContainerfileParser.parse(bytes, file: "Containerfile")
    }

    @Test func readsEveryCase() throws {
        let names = try Self.cases()
        #expect(names.count >= 100)
        let outlines = try names.map { "\($0)\n" + Outline(try Self.parse($0)).lines.map { "    \($0)\n" }.joined() }
        let golden = try String(contentsOf: Self.folder.appendingPathComponent("parsed.txt"), encoding: .utf8)
        let expected = golden.components(separatedBy: "\n\n").map { $0.trimmingCharacters(in: .newlines) }
        for (outline, expected) in zip(outlines, expected) {
            #expect(outline.trimmingCharacters(in: .newlines) == expected)
        }
        #expect(outlines.count == expected.count)
    }

    @Test func everyCaseHasAGraphAndWhatItNeeds() throws {
        for name in try Self.cases() {
            let folder = Self.folder.appendingPathComponent(name)
            let optionsFile = folder.appendingPathComponent("options.json")
            var options = Options()
            if FileManager.default.fileExists(atPath: optionsFile.path) {
                options = try JSONDecoder().decode(Options.self, from: Data(contentsOf: optionsFile))
            }
            let file = try Self.parse(name)
            let graph = try BuildGraph(
                file, arguments: BuildArguments(values: options.arguments ?? [:], target: .current, build: .current),
                target: options.target)
            for case .image(let reference) in graph.nodes.map(\.base) {
                #expect(reference == "localhost/slipway-test/busybox:1", "\(name) needs no other image")
            }
            #expect(file.undeclared(among: options.arguments ?? [:]).isEmpty, "\(name)")
            let lacks = FileManager.default.fileExists(atPath: folder.appendingPathComponent("buildah-lacks").path)
            let expects = FileManager.default.fileExists(atPath: folder.appendingPathComponent("expected.json").path)
            #expect(lacks == expects, "\(name): buildah-lacks and expected.json belong together")
            if expects {
                let json = try JSONSerialization.jsonObject(with: Data(contentsOf: folder.appendingPathComponent("expected.json")))
                let object = try #require(json as? [String: Any])
                #expect(object["files"] is [String: Any], "\(name)")
            }
            for ignore in ["Containerfile.dockerignore", ".dockerignore"] {
                let path = folder.appendingPathComponent(ignore)
                guard FileManager.default.fileExists(atPath: path.path) else { continue }
                #expect(try !IgnoreRules(parsing: Data(contentsOf: path), file: ignore).isEmpty)
            }
        }
    }

    @Test func everyInstructionAndFlagIsThere() throws {
        var instructions: Set<String> = [], flags: Set<String> = []
        for name in try Self.cases() {
            let file = try Self.parse(name)
            let texts = file.stages.flatMap { [$0.text] + $0.instructions.map(\.text) } + (file.globalArguments.isEmpty ? [] : ["ARG"])
            for text in texts {
                var words = text.split(whereSeparator: \.isWhitespace)[...]
                if words.first?.uppercased() == "ONBUILD" { instructions.insert("ONBUILD") }
                let keyword = words.removeFirst().uppercased()
                instructions.insert(keyword)
                for flag in words.prefix(while: { $0.hasPrefix("--") }) {
                    flags.insert("\(keyword) \(flag.prefix { $0 != "=" })")
                    if flag.hasPrefix("--mount=") {
                        flags.insert("mount " + (flag.firstMatch(of: /type=([a-z]+)/).map { String($0.1) } ?? "bind"))
                    }
                }
            }
        }
        #expect(instructions == Set(InstructionReader.names))
        for flag in [
            "FROM --platform", "RUN --mount", "RUN --network", "RUN --security", "ADD --link", "COPY --from", "COPY --chown", "COPY --chmod",
            "COPY --link",
            "COPY --parents", "COPY --exclude", "ADD --chown", "ADD --chmod", "ADD --unpack", "ADD --exclude", "HEALTHCHECK --interval",
            "HEALTHCHECK --timeout", "HEALTHCHECK --start-period", "HEALTHCHECK --start-interval", "HEALTHCHECK --retries",
            "mount bind", "mount cache", "mount tmpfs", "mount secret",
        ] {
            #expect(flags.contains(flag), "no case has \(flag)")
        }
    }
}

/// A file in a few words a line, for comparison and for the eye.
struct Outline {
    var lines: [String] = []

    init(_ file: BuildFile) {
        if file.directives != Directives() {
            lines.append("escape \(Character(Unicode.Scalar(file.directives.escape.rawValue))) syntax \(file.directives.syntax ?? "-")")
        }
        lines += file.globalArguments.map { "global \($0.name) = \($0.value?.source ?? "-")" }
        for stage in file.stages {
            let platform = stage.platform.map { " platform \($0.source)" } ?? ""
            lines.append("stage \(stage.index) \(stage.name ?? "-") of \(stage.base.source)\(platform) @\(stage.location.first)")
            lines += stage.instructions.map { "  @\($0.location.first)-\($0.location.last) \(Self.words($0.kind))" }
        }
        lines += file.warnings.map { "warning @\($0.line):\($0.column) \($0.check?.rawValue ?? $0.message)" }
    }

    private static func words(_ kind: Instruction.Kind) -> String {
        switch kind {
        case .argument(let all): "argument " + all.map { "\($0.name)=\($0.value?.source ?? "-")" }.joined(separator: " | ")
        case .environment(let pairs): "environment " + words(pairs)
        case .label(let pairs): "label " + words(pairs)
        case .run(let run):
            "run " + (run.mounts.map { "mount(\($0.source)) " }).joined() + (run.network == .default ? "" : "network \(run.network) ")
                + words(run.command)
        case .copy(let copy):
            "copy " + words(copy.sources, copy.destination, copy.options)
                + (copy.from.map { " from \($0)" } ?? "") + (copy.keepsParents ? " parents" : "")
        case .add(let add):
            "add " + words(add.sources, add.destination, add.options) + (add.unpacks.map { " unpack \($0)" } ?? "")
        case .command(let line): "command " + words(line)
        case .entrypoint(let line): "entrypoint " + words(line)
        case .user(let word): "user " + word.source
        case .workingDirectory(let word): "directory " + word.source
        case .volume(let all): "volume " + all.map(\.source).joined(separator: " | ")
        case .expose(let all): "expose " + all.map(\.source).joined(separator: " | ")
        case .stopSignal(let word): "signal " + word.source
        case .healthcheck(.none): "healthcheck none"
        case .healthcheck(.command(let line, let timing)):
            "healthcheck " + words(line)
                + " \([timing.interval, timing.timeout, timing.startPeriod, timing.startInterval].map { $0.map(\.description) ?? "-" }) \(timing.retries ?? 0)"
        case .shell(let words): "shell \(words)"
        case .onBuild(let trigger): "trigger \(trigger.text.debugDescription): " + words(trigger.instruction.kind)
        case .maintainer(let name): "maintainer " + name
        }
    }

    private static func words(_ pairs: [KeyValue]) -> String {
        pairs.map { "\($0.key.source)=\($0.value.source)" }.joined(separator: " | ")
    }

    private static func words(_ line: CommandLine) -> String {
        switch line {
        case .exec(let arguments): "exec \(arguments)"
        case .shell(let text): "shell \(text.debugDescription)"
        }
    }

    private static func words(_ command: RunInstruction.Command) -> String {
        switch command {
        case .exec(let arguments): "exec \(arguments)"
        case .shell(let text): "shell \(text.debugDescription)"
        case .script(let name, let content): "script \(name) \(content.debugDescription)"
        }
    }

    private static func words(_ sources: [CopySource], _ destination: Word, _ options: CopyOptions) -> String {
        let all = sources.map { source in
            switch source {
            case .path(let word): word.source
            case .heredoc(let heredoc):
                "<<\(heredoc.name) \(heredoc.content.source.debugDescription) variables \(heredoc.content.variables.sorted())"
            }
        }
        return all.joined(separator: " | ") + " to " + destination.source + (options.owner.map { " owner \($0.source)" } ?? "")
            + (options.mode.map { " mode \($0.source)" } ?? "") + (options.isLinked ? " linked" : "")
            + (options.excludes.isEmpty ? "" : " without \(options.excludes)")
    }
}
