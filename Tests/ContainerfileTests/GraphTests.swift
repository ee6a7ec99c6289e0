import OCIModel
import Testing

@testable import Containerfile

@Suite struct GraphTests {
    static let arm = Platform(architecture: "arm", os: "linux", variant: "v7")
    static let amd = Platform(architecture: "amd64", os: "linux")

    static func graph(_ text: String, _ values: [String: String] = [:], target: String? = nil) throws -> BuildGraph {
        try BuildGraph(Text.parse(text), arguments: BuildArguments(values: values, target: arm, build: amd), target: target)
    }

    static let file = """
        ARG base=debian:12
        ARG build=build
        FROM ${base} AS Base
        FROM base AS build
        FROM $build AS test
        COPY --from=tools:1 /x /y
        FROM scratch AS unused
        COPY --from=0 /a /b
        FROM --platform=$BUILDPLATFORM base AS last
        COPY --from=BUILD /a /b
        RUN --mount=from=test,target=/x --mount=type=cache,from=scratch,target=/y true
        """

    @Test func findsBasesAndDependencies() throws {
        let graph = try Self.graph(Self.file)
        #expect(graph.nodes.map(\.base) == [.image("debian:12"), .stage(0), .stage(1), .scratch, .stage(0)])
        #expect(graph.nodes.map(\.dependencies) == [[], [0], [1], [0], [0, 1, 2]])
        #expect(graph.nodes.map(\.platform) == [nil, nil, nil, nil, Self.amd])
        #expect(graph.target == 4)
        #expect(graph.order == [0, 1, 2, 4])
        #expect(graph.unused == [3])
        let copy = graph.nodes[2].stage.instructions[0]
        #expect(try graph.origins(of: copy, inStage: 2) == [.image("tools:1")])
        #expect(try graph.origins(of: graph.nodes[4].stage.instructions[1], inStage: 4) == [.stage(2), .scratch])
    }

    @Test func choosesTheTarget() throws {
        #expect(try Self.graph(Self.file, target: "TEST").order == [0, 1, 2])
        #expect(try Self.graph(Self.file, target: "3").order == [0, 3])
        #expect(try Self.graph(Self.file, ["build": "scratch"], target: "test").order == [2])
        let error = #expect(throws: ContainerfileError.self) { try Self.graph(Self.file, target: "tset") }
        #expect(error?.code == .stage)
        #expect(error?.diagnostics.first?.suggestion == "did you mean 'test'?")
    }

    @Test(arguments: [
        ("FROM $x", "the base becomes empty"), ("FROM b\nFROM a AS b", "the stage 'b' is defined later"),
        ("FROM a AS b\nCOPY --from=b x y", "a stage cannot read itself"), ("FROM a\nCOPY --from=0 x y", "there is no stage '0' before this one"),
        ("FROM a\nCOPY --from=c x y\nFROM a AS c", "the stage 'c' is defined later"), ("FROM ${x?missing}", "x: missing"),
        ("FROM --platform=$y a", "'' is no platform"), ("FROM --platform=linux a", "the platform 'linux' has no architecture"),
    ])
    func refusesReferences(_ text: String, _ message: String) throws {
        let error = #expect(throws: ContainerfileError.self) { try Self.graph(text) }
        #expect(error?.diagnostics.first?.message == message)
    }

    @Test func aStageMayBearItsImagesName() throws {
        #expect(try Self.graph("FROM debian AS debian\nFROM debian").nodes.map(\.base) == [.image("debian"), .stage(0)])
    }

    @Test func refusesMalformedImages() throws {
        let error = #expect(throws: ContainerfileError.self) { try Self.graph("ARG v=a b\nFROM x:$b%\n") }
        #expect(error?.code == .stage)
        #expect(error?.diagnostics.first?.line == 2)
        #expect(error?.diagnostics.first?.column == 6)
    }

    @Test func triggersOfAStageRunInTheNext() throws {
        let graph = try Self.graph("FROM a AS t\nFROM a AS b\nONBUILD COPY --from=t /x /y\nFROM b\nRUN x\nFROM \tb AS c\n", target: "2")
        #expect(graph.nodes[2].triggers.map(\.text) == ["COPY --from=t /x /y"])
        #expect(graph.nodes[2].dependencies == [0, 1])
        #expect(graph.order == [0, 1, 2])
    }

    @Test func globalArgumentsSeeThoseBefore() throws {
        let file = try Text.parse("ARG a=1\nARG b=${a}2 c\nARG TARGETARCH\nARG d=$TARGETPLATFORM-$BUILDOS e=$HOME\nFROM a")
        let values = try file.globalValues(BuildArguments(values: ["a": "x"], target: Self.arm, build: Self.amd))
        #expect(values["b"] == "x2")
        #expect(values["c"] == nil)
        #expect(values["d"] == "linux/arm/v7-linux")
        #expect(values["e"] == "")
        #expect(values["TARGETVARIANT"] == "v7")
        #expect(values["BUILDVARIANT"] == "")
    }

    @Test func namesUndeclaredArguments() throws {
        let file = try Text.parse("ARG a\nFROM x\nARG b\nONBUILD ARG c")
        #expect(file.undeclared(among: ["a": "", "b": "", "c": "", "d": "", "http_proxy": "", "TARGETARCH": ""]) == ["d"])
    }
}

@Suite struct ScopeTests {
    static func scope(
        _ lines: String, base: [String] = [], global: String = "", given: [String: String] = [:]
    ) throws -> StageScope {
        let file = try Text.parse("\(global)\nFROM x\n\(lines)")
        let arguments = BuildArguments(values: given, target: GraphTests.arm, build: GraphTests.amd)
        var scope = StageScope(base: base, globals: try file.globalValues(arguments), arguments: arguments)
        for instruction in file.stages[0].instructions {
            switch instruction.kind {
            case .argument(let declarations): for declaration in declarations { try scope.declare(declaration) }
            case .environment(let pairs): try scope.set(pairs)
            default: break
            }
        }
        return scope
    }

    @Test func globalArgumentsAreDeclaredAgain() throws {
        #expect(try Self.scope("", global: "ARG v=1").variables["v"] == nil)
        #expect(try Self.scope("ARG v", global: "ARG v=1").variables["v"] == "1")
        #expect(try Self.scope("ARG v=2", global: "ARG v=1").variables["v"] == "2")
        #expect(try Self.scope("ARG v=2", given: ["v": "3"]).variables["v"] == "3")
        #expect(try Self.scope("", given: ["v": "3"]).variables["v"] == nil)
        #expect(try Self.scope("ARG TARGETARCH").variables["TARGETARCH"] == "arm")
        #expect(try Self.scope("ARG v").arguments == ["v": nil])
    }

    @Test func theLastInstructionWins() throws {
        #expect(try Self.scope("ARG v=1\nENV v=2").variables["v"] == "2")
        let later = try Self.scope("ENV v=1\nARG v=2")
        #expect(later.variables["v"] == "2")
        #expect(later.environment.map(\.value) == ["1"])
        #expect(later.runEnvironment.map { "\($0.name)=\($0.value)" } == ["v=2"])
        #expect(try Self.scope("ENV v=1\nARG v").variables["v"] == "1")
    }

    @Test func pairsSeeTheEnvironmentBefore() throws {
        let scope = try Self.scope("ENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc", base: ["PATH=/bin", "abc=x=y"])
        #expect(scope.environment.map { "\($0.name)=\($0.value)" } == ["PATH=/bin", "abc=bye", "def=hello", "ghi=bye"])
    }

    @Test func proxiesReachRunOnly() throws {
        let scope = try Self.scope("ARG a=1\nARG no_proxy", given: ["HTTP_PROXY": "p", "no_proxy": "n", "x": "y"])
        #expect(scope.variables["HTTP_PROXY"] == nil)
        #expect(scope.proxies.map(\.name) == ["HTTP_PROXY"])
        #expect(scope.runEnvironment.map(\.name) == ["a", "no_proxy", "HTTP_PROXY"])
    }
}
