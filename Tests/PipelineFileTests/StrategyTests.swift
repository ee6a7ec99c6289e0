import DeliveryModel
import Testing

@testable import PipelineFile

struct StrategyTests {
    private static func text(_ strategy: String, _ more: String = "") -> String {
        """
        build: {image: shop/web, copy: [{from: a, to: /a}]}
        service: {port: 80}
        stages:
          - {name: dev, host: dev.localhost, strategy: \(strategy)\(more)}
        """
    }

    @Test(arguments: [
        ("blue_green", RolloutStrategy.blueGreen(.init())), ("rolling", .rolling(.init())),
        ("canary", .canary(.init(weights: [100, 250, 500]))),
        ("{blue_green: {preview: next.localhost, pause: manual}}", .blueGreen(.init(preview: "next.localhost", pause: .manual))),
        ("{blue_green: {pause: 5m}}", .blueGreen(.init(pause: .seconds(300)))),
        ("{rolling: {max_surge: 0, max_unavailable: 2, ready: 10s}}", .rolling(.init(maxSurge: 0, maxUnavailable: 2, ready: 10))),
        (
            #"{canary: {weights: [0.5, 5%, 50], every: 2m, pin: true, abort_if: {error_rate: "> base + 1%", p99: "> base * 1.5", p50: "> base + 50ms", minimum: 500}}}"#,
            .canary(
                .init(
                    weights: [5, 50, 500], hold: .seconds(120),
                    abortIf: .init(errorRate: 0.01, p99: .times(1.5), p50: .plus(0.05), minimum: 500), pin: true))
        ),
        (
            "{canary: {abort_if: {query: 'up < 1'}}}",
            .canary(.init(weights: [100, 250, 500], abortIf: .init(query: "up < 1")))
        ),
        ("{canary: {weights: [10], every: manual}}", .canary(.init(weights: [100], hold: .manual))),
    ])
    func strategiesArrive(text: String, strategy: RolloutStrategy) throws {
        let plan = try PipelineParser.parse(Self.text(text, ", soak: 30s"), file: "p.yaml")
        #expect(plan.stages[0].strategy == strategy)
        #expect(plan.stages[0].soak == 30)
    }

    @Test(arguments: [
        ("purple", "there is no strategy 'purple'"), ("{}", "a stage has one strategy"),
        ("{rolling: {}, canary: {}}", "a stage has one strategy"),
        ("{rolling: {max_surge: 0}}", "both 0"), ("{rolling: {surge: 1}}", "surge"),
        ("{canary: {weights: [50, 25]}}", "weights grow"), ("{canary: {weights: []}}", "1 to 20 weights"),
        ("{canary: {weights: [0]}}", "0.1 to 99.9"), ("{canary: {weights: [100]}}", "0.1 to 99.9"),
        ("{canary: {every: soon}}", "is a duration"), (#"{canary: {abort_if: {query: "a\nb"}}}"#, "in one line"),
        ("{canary: {abort_if: {}}}", "compares nothing"),
        (#"{canary: {abort_if: {error_rate: "> base * 2"}}}"#, "compared by a difference"),
        (#"{canary: {abort_if: {p99: "> 200ms"}}}"#, "not a comparison"),
        (#"{canary: {abort_if: {p99: "> base + 1%"}}}"#, "not a comparison"),
        ("{blue_green: {preview: dev.localhost}}", "used twice"), ("{blue_green: {preview: 'Next Host'}}", "not a host name"),
    ])
    func mistakesAreNamed(text: String, message: String) throws {
        do {
            _ = try PipelineParser.parse(Self.text(text), file: "p.yaml")
            Issue.record("\(text) was accepted")
        } catch {
            #expect("\(error)".contains(message), "\(error)")
        }
    }

    @Test func autoscaleArrives() throws {
        let plan = try PipelineParser.parse(
            Self.text("rolling", ", autoscale: {min: 2, max: 8, requests: 20, cpu: 70%, cooldown: 30s}"), file: "p.yaml")
        #expect(plan.stages[0].autoscale == AutoscaleRule(min: 2, max: 8, requests: 20, cpu: 0.7, cooldown: 30))
        let least = try PipelineParser.parse(Self.text("rolling", ", autoscale: {max: 3, cpu: 100%}"), file: "p.yaml")
        #expect(least.stages[0].autoscale == AutoscaleRule(min: 1, max: 3, cpu: 1))
    }

    @Test(arguments: [
        ("{max: 3}", "looks at nothing"), ("{min: 4, max: 3, cpu: 50%}", "min is more than max"), ("{max: 3, cpu: 0.5}", "1% to 100%"),
        ("{max: 3, cpu: 120%}", "1% to 100%"), ("{requests: 5}", "has no 'max'"), ("{max: 3, requests: 5, cooldown: 1s}", "cooldown"),
    ])
    func autoscaleThatIsRefused(text: String, message: String) throws {
        let summary = try DiagnosticTests.summary(Self.text("rolling", ", autoscale: \(text)"))
        #expect(summary.count == 1 && summary[0].contains(message), "\(summary)")
    }

    private static func file(_ head: String) -> String { "\(head)\n" + text("rolling") }

    @Test func aTrainAndWhatIsRequiredStandInEveryStage() throws {
        let plan = try PipelineParser.parse(Self.file("train: shop\nrequires: [api, db.main]"), file: "p.yaml")
        #expect(plan.stages[0].train == "shop" && plan.stages[0].requires == ["api", "db.main"])
        #expect(try PipelineParser.parse(Self.file("requires: api"), file: "p.yaml").stages[0].requires == ["api"])
        let without = try PipelineParser.parse(Self.text("rolling"), file: "p.yaml")
        #expect(without.stages[0].train == nil && without.stages[0].requires == nil)
    }

    @Test(arguments: [
        ("train: Shop Floor", "'Shop Floor'"), ("train: [a]", "train"), ("requires: p", "names the pipeline itself"),
        ("requires: []", "has no entry"), ("requires: [a, a]", "twice"), ("requires: ['a/b']", "cannot name a pipeline"),
    ])
    func trainsThatAreRefused(head: String, message: String) throws {
        let summary = try DiagnosticTests.summary(Self.file(head))
        #expect(summary.count == 1 && summary[0].contains(message), "\(summary)")
    }

    @Test func aTrainIsAboutStages() throws {
        let summary = try DiagnosticTests.summary("train: shop\nsteps: [{name: a, image: i, commands: [x]}]")
        #expect(summary == ["1:1 'train' is about stages, and the file has none = add stages: or remove train"])
    }
}
