import DeliveryModel
import Foundation
import PipelineFile
import Testing

/// What a correct file means.
@Suite struct PlanTests {
    static let gtin = """
        when:
          - {event: push, branch: main}
          - {event: pull_request, path: {exclude: ["docs/**"]}}
          - {event: [tag, cron, manual]}
        steps:
          - name: test
            image: golang:1.24
            environment: {TOKEN: {from_secret: api_token}, GO: 1.20, DEBUG: yes}
            commands: [go vet ./..., go test ./...]
            timeout: 10m
            limits: {memory: 1GB, cpus: 0.5, pids: 64}
          - {name: compile, image: golang:1.24, commands: [go build -o dist/gtin .], depends_on: [test]}
        build:
          image: shop/gtin
          base: gcr.io/distroless/static
          copy: [{from: dist/gtin, to: /bin/gtin, mode: "0755"}]
          entrypoint: [/bin/gtin]
          cmd: ["-m"]
          environment: {A: "1"}
          user: "65532:65532"
          workdir: /srv
          ports: [80, 53/udp]
          labels: {org.opencontainers.image.title: gtin}
        service:
          command: ["-m"]
          port: 80
          health: {path: /healthz, interval: 500ms, timeout: 2s, healthy: 3, grace: 1m30s}
          limits: {memory: 128MiB, cpus: 0.5, pids: 64}
          replicas: 2
          read_only: false
          tmpfs: [/var/cache/app]
          capabilities: [CHOWN]
        stages:
          - {name: dev, target: local, host: gtin.dev.localhost}
          - name: prod
            after: dev
            host: gtin.localhost
            approval: {count: 2, from: ["group:sre"], not_author: true, expires: 24h}
            environment: {STRIPE_KEY: {from_secret: stripe_prod}}
            strategy: blue_green
            replicas: 3
            drain: 20s
            freeze: [{cron: "0 16 * * FRI", for: 64h, tz: Europe/Berlin}, {cron: "0 0 24 12 *", for: 3d}]
            promote: {at: "0 9 * * MON-FRI", tz: Europe/Berlin}
        """

    static let plan = PipelinePlan(
        name: "gtin",
        when: [
            Trigger(events: [.push], branches: GlobFilter(include: ["main"])),
            Trigger(events: [.pullRequest], paths: GlobFilter(exclude: ["docs/**"])),
            Trigger(events: [.tag, .cron, .manual]),
        ],
        steps: [
            StepPlan(
                name: "test", image: "golang:1.24", commands: ["go vet ./...", "go test ./..."],
                environment: ["TOKEN": .secret("api_token"), "GO": .literal("1.20"), "DEBUG": .literal("yes")],
                timeout: 600, limits: ResourceLimits(memoryBytes: 1_000_000_000, cpus: 0.5, pids: 64)),
            StepPlan(
                name: "compile", image: "golang:1.24", commands: ["go build -o dist/gtin ."], dependsOn: ["test"]),
        ],
        build: BuildPlan(
            image: "shop/gtin", base: "gcr.io/distroless/static",
            copy: [CopyPlan(from: "dist/gtin", to: "/bin/gtin", mode: 0o755)], entrypoint: ["/bin/gtin"],
            cmd: ["-m"], environment: ["A": "1"], user: "65532:65532", workdir: "/srv",
            ports: ["80/tcp", "53/udp"], labels: ["org.opencontainers.image.title": "gtin"]),
        service: ServiceDefinition(
            command: ["-m"], port: 80,
            health: HealthCheck(path: "/healthz", interval: 0.5, timeout: 2, healthy: 3, grace: 90),
            limits: ResourceLimits(memoryBytes: 128 << 20, cpus: 0.5, pids: 64), replicas: 2,
            isolation: Isolation(readOnly: false, tmpfs: ["/var/cache/app"], capabilities: ["CHOWN"])),
        stages: [
            StagePlan(name: "dev", target: "local", host: "gtin.dev.localhost"),
            StagePlan(
                name: "prod", host: "gtin.localhost", after: "dev",
                approval: ApprovalRule(count: 2, from: ["group:sre"], notAuthor: true, expires: 86400),
                environment: ["STRIPE_KEY": .secret("stripe_prod")], replicas: 3, drain: 20, strategy: .blueGreen(.init()),
                freeze: [
                    FreezeWindow(cron: schedule("0 16 * * FRI", "Europe/Berlin"), seconds: 64 * 3600),
                    FreezeWindow(cron: schedule("0 0 24 12 *", "UTC"), seconds: 3 * 86_400),
                ], promote: .at(schedule("0 9 * * MON-FRI", "Europe/Berlin"))),
        ])

    private static func schedule(_ text: String, _ zone: String) -> CronSchedule {
        do { return try CronSchedule(text, zone: zone) } catch { preconditionFailure("\(error)") }
    }

    @Test(arguments: [
        ("automatic", PromotionRule.automatic), ("manual", .manual), ("{after: 30m}", .after(1800)), ("{tag: \"v*\"}", .tag("v*")),
    ])
    func rulesOfPromotionAreRead(_ text: String, _ rule: PromotionRule) throws {
        let file = "build: {image: a}\nservice: {port: 1}\nstages: [{name: x, promote: \(text)}]"
        #expect(try PipelineParser.parse(file, file: "a.yaml").stages.first?.promote == rule)
    }

    @Test func everyKeyArrivesInThePlan() throws {
        #expect(try PipelineParser.parse(Self.gtin, file: "pipelines/gtin.yaml") == Self.plan)
        #expect(Self.plan.secretNames == ["api_token", "stripe_prod"])
    }

    @Test func aPlanSurvivesJSON() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let bytes = try encoder.encode(Self.plan)
        let decoded = try JSONDecoder().decode(PipelinePlan.self, from: bytes)
        #expect(decoded == Self.plan)
        #expect(try encoder.encode(decoded) == bytes)
    }

    @Test func synonymsMeanTheSame() throws {
        let usual = """
            steps:
              - {name: a, image: i, commands: [x, y], environment: {A: b}, depends_on: []}
              - {name: b, image: i, commands: [z], depends_on: [a]}
            """
        let other = """
            steps:
              - {name: a, image: i, script: [x, y], env: {A: b}, needs: []}
              - {name: b, image: i, run: z, needs: a}
            """
        #expect(try PipelineParser.parse(usual, file: "p.yaml") == PipelineParser.parse(other, file: "p.yaml"))
    }

    @Test func stepsRunInTheOrderWrittenUntilOneSaysOtherwise() throws {
        func dependencies(_ extra: String) throws -> [[String]] {
            let text = """
                steps:
                  - {name: a, image: i, commands: [x]}
                  - {name: b, image: i, commands: [x]}
                  - {name: c, image: i, commands: [x]\(extra)}
                """
            return try PipelineParser.parse(text, file: "p.yaml").steps.map(\.dependsOn)
        }
        #expect(try dependencies("") == [[], ["a"], ["b"]])
        #expect(try dependencies(", depends_on: [a]") == [[], [], ["a"]])
        #expect(try dependencies(", depends_on: []") == [[], [], []])
    }

    @Test func whatIsLeftOutHasDefaults() throws {
        let plan = try PipelineParser.parse(
            """
            build: {image: a, base: scratch}
            service: {port: 8080}
            stages: [{name: dev}]
            """, file: "/x/some.name_1.yml")
        #expect(plan.name == "some.name_1")
        #expect(plan.when == [Trigger(events: [.push, .manual])])
        #expect(plan.build == BuildPlan(image: "a"))
        #expect(plan.service == ServiceDefinition(port: 8080))
        #expect(plan.stages == [StagePlan(name: "dev", target: "local")])
    }

    @Test func scriptsMayHoldAlmostAnything() throws {
        let text = """
            steps:
              - name: a
                image: i
                commands:
                  - |
                    printf '%s\\n' "$HOME" && ls *.swift & wait
                    if [ -n "${CI}" ]; then echo "a: b"; fi
                  - "true"
                  - yes
            """
        let commands = try PipelineParser.parse(text, file: "p.yaml").steps[0].commands
        #expect(commands[0].hasPrefix("printf '%s\\n' \"$HOME\" && ls *.swift & wait\nif"))
        #expect(commands[1...] == ["true", "yes"])
        let windows = "steps:\r\n  - name: a\r\n    image: i\r\n    commands: [x]\r\n"
        #expect(try PipelineParser.parse("\u{FEFF}" + windows, file: "p.yaml").steps.count == 1)
    }

    @Test func aContainerfileWithWhatItIsGiven() throws {
        let plan = try PipelineParser.parse(
            "build: {image: a, file: docker/Containerfile, target: app, args: {V: 1.20}, secrets: npm, labels: {l: x}}", file: "p.yaml")
        #expect(
            plan.build?.containerfile
                == ContainerfilePlan(file: "docker/Containerfile", target: "app", arguments: ["V": "1.20"], secrets: ["npm"]))
        #expect(plan.secretNames == ["npm"])
        #expect(plan.build?.labels == ["l": "x"])
    }
}
