import PipelineFile
import Testing

/// The exact text people see.
@Suite struct DiagnosticTests {
    /// All diagnostics of a file that must not parse.
    static func diagnostics(_ text: String, file: String = "p.yaml") throws -> [Diagnostic] {
        do {
            _ = try PipelineParser.parse(text, file: file)
        } catch {
            return error.diagnostics
        }
        Issue.record("parsed: \(text.prefix(200))")
        return []
    }

    /// `line:column message = suggestion`, one per mistake.
    static func summary(_ text: String) throws -> [String] {
        try diagnostics(text).map { "\($0.line):\($0.column) \($0.message)" + ($0.suggestion.map { " = \($0)" } ?? "") }
    }

    /// A step that is right, but for what is given.
    static func step(_ rest: String) -> String { "steps: [{name: a, image: i, commands: [x], \(rest)}]" }

    @Test func everyMistakeIsShownInTheOrderOfTheFile() {
        let text = """
            when: {event: [push, pul_request]}
            steps:
              - name: test
                imge: golang
                commands: ['echo "${{ branch }}"']
                timeout: 10
            matrix: {GO: [1]}
            """
        let error = #expect(throws: PipelineError.self) {
            try PipelineParser.parse(text, file: "pipelines/gtin.yaml")
        }
        #expect(error?.code == .invalid)
        #expect(
            error?.description == """
                pipelines/gtin.yaml:1:22: error: unknown event 'pul_request'
                 1 | when: {event: [push, pul_request]}
                   |                      ^
                   = did you mean 'pull_request'?

                pipelines/gtin.yaml:4:5: error: unknown key 'imge' in step
                 4 |     imge: golang
                   |     ^
                   = did you mean 'image'?

                pipelines/gtin.yaml:5:16: error: '${{ … }}' in commands: values are never expanded into commands
                 5 |     commands: ['echo "${{ branch }}"']
                   |                ^
                   = pass the value as environment and write "$NAME"

                pipelines/gtin.yaml:6:14: error: timeout is a duration, this is '10'
                 6 |     timeout: 10
                   |              ^
                   = add a unit: 10s, or 10m

                pipelines/gtin.yaml:7:1: error: 'matrix' is not supported yet in this version
                 7 | matrix: {GO: [1]}
                   | ^
                   = remove it; it would not have any effect
                """)
        #expect(error?.message == "pipelines/gtin.yaml:1:22: unknown event 'pul_request' (and 4 more)")
        #expect(error?.hint == "did you mean 'pull_request'?")
    }

    @Test func cyclesShowTheirPath() throws {
        let text = """
            steps:
              - {name: a, image: i, commands: [x], depends_on: [c]}
              - {name: b, image: i, commands: [x], depends_on: [a]}
              - {name: c, image: i, commands: [x], depends_on: [b, c, compil, b]}
              - {name: compile, image: i, commands: [x]}
              - {name: b, image: i, commands: [x]}
            """
        #expect(
            try Self.summary(text) == [
                "3:53 steps wait for each other: a → c → b → a = remove one of these dependencies",
                "4:56 step 'c' waits for itself = remove it",
                "4:59 there is no step 'compil' = did you mean 'compile'?",
                "4:67 'b' is named twice = keep one",
                "6:12 there already is a step 'b' (line 3) = give every step its own name",
            ])
    }

    @Test(arguments: [
        ("matrix: {A: [1]}", "matrix"), ("cache: []", "cache"), ("services: []", "services"),
        (step("env: {A: 'x${{ y }}'}"), "'${{ … }}'"), ("build: {image: 'a:${{ x }}'}", "'${{ … }}'"),
    ])
    func whatIsNotDoneYetIsRefusedByName(text: String, name: String) throws {
        let found = try Self.diagnostics(text)
        let quoted = name.contains("'") ? name : "'\(name)'"
        #expect(found.contains { $0.message.hasPrefix(quoted) && $0.message.contains("not supported yet in this version") })
    }

    @Test(arguments: [
        ("timeout: 90", "add a unit: 90s, or 90m"), ("timeout: 1m1h", "write 500ms, 30s, 10m, 1h30m or 2d"),
        ("timeout: 2d", "it is from 1s to 1d"), ("limits: {memory: 128M}", "did you mean 128MiB?"),
        ("limits: {memory: 1KiB}", "at least 6MiB"), ("limits: {memory: 99999999999TiB}", "write 128MiB, 1GiB, 500MB or 1GB"),
        ("limits: {cpus: 500m}", "write 0.5 for half of one, 2 for two; from 0.01 to 1024"),
        ("limits: {pids: '5'}", "remove the quotes"), ("limits: {pids: 0x10}", "write a decimal number from 1 to 1000000"),
        ("limits: {pids: -1}", "it is a number from 1 to 1000000"), ("env: {A: ~}", "write \"\" for empty text"),
        ("env: {A: {from_secret: 1x}}", "use letters, digits, '_' and '-', not beginning with a digit or '-', at most 128"),
        ("env: {A-B: x}", "use letters, digits and '_', not beginning with a digit"),
        ("env: {A: {secret: x}}", "known keys: from_secret"), ("run: y", "keep one of them"),
        ("limits: ", "give it one, or remove the key"), ("limits: 5", "write {memory: …, cpus: …}"),
    ])
    func wrongValuesInAStep(rest: String, suggestion: String) throws {
        #expect(try Self.diagnostics(Self.step(rest)).compactMap(\.suggestion).contains(suggestion))
    }

    @Test(arguments: [
        ("copy: [{from: a, to: /b, mode: 0755}]", "write \"0755\""),
        ("copy: [{from: a, to: /b, mode: 493}]", "write \"0755\""),
        ("copy: [{from: a, to: /b, mode: '0855'}]", "write three or four octal digits, as in \"0755\""),
        ("copy: [{from: ../a, to: /b}]", "write it relative to the repository, without a leading '/' and without '..'"),
        ("copy: [{from: a, to: b}]", "begin with '/', without '..'"),
        ("entrypoint: /bin/a -x", "write [\"/bin/a\", \"-x\"]"), ("ports: [0]", "write 1 to 65535, or 53/udp"),
        ("ports: [65536]", "write 1 to 65535, or 53/udp"), ("ports: ['١']", "write 1 to 65535, or 53/udp"),
        ("env: {A: {from_secret: b}}", "name it in the environment of a step or of a stage"),
        ("base: Debian", "use lower-case letters, digits, '.', '_', '-' and '/', as in shop/gtin"),
        ("user: a b", "write a name or number, or user:group"),
    ])
    func wrongValuesInABuild(rest: String, suggestion: String) throws {
        let found = try Self.diagnostics("build: {image: a, \(rest)}").compactMap(\.suggestion)
        #expect(found.contains(suggestion), "\(found)")
    }

    @Test(arguments: [
        ("host: A.example", "write a.example"),
        ("host: 'http://a'", "write the name only, as in gtin.example.com: no scheme, port, path or '*'"),
        ("approval: {not_author: yes}", "write true or false, without quotes"),
        ("approval: {count: 0}", "it is a number from 1 to 100"), ("approval: {from: 'a b'}", "write alice or group:sre"),
        ("approval: {expires: 1s}", "it is from 1m to 365d"), ("after: dv", "known: x"), ("after: x", "remove it"),
        ("replicas: 0", "it is a number from 1 to 100"), ("drain: 2h", "it is from 0s to 1h"),
        ("freeze: []", "remove the key, or add a window"), ("freeze: {cron: a}", "write [{cron: \"0 16 * * FRI\", for: 64h}]"),
        ("freeze: [{for: 1h}]", "add cron: …"), ("freeze: [{cron: '0 0 * * *'}]", "add for: …"),
        ("freeze: [{cron: '0 0 * * *', for: 1h, zone: UTC}]", "known keys: cron, for, tz"),
        ("freeze: [{cron: '0 0 * * *', for: 10s}]", "it is from 1m to 365d"),
        ("freeze: [{cron: '0 0 * * *', for: 1h, tz: Berlin}]", "write a name as in Europe/Berlin, or UTC"),
        ("freeze: [{cron: '0 0 * *', for: 1h}]", "write minute, hour, day, month and weekday: \"0 16 * * FRI\""),
        ("freeze: [{cron: '0 0 31 2 *', for: 1h}]", "the month has no such day"),
        ("promote: auto", "write automatic, manual, {after: 30m}, {tag: \"v*\"} or {at: \"0 9 * * MON-FRI\"}"),
        ("promote: {after: 1h, tag: v1}", "write one of them"), ("promote: {tz: UTC}", "write one of them"),
        ("promote: {after: 1h, tz: UTC}", "remove it"), ("promote: {afer: 1h}", "did you mean 'after'?"),
        ("promote: {after: 0s}", "it is from 1s to 365d"),
        ("promote: {at: '0 25 * * *'}", "write *, a number from 0 to 23, a range 1-5, a list 1,3 or a step */2"),
    ])
    func wrongValuesInAStage(rest: String, suggestion: String) throws {
        let text = "build: {image: a}\nservice: {port: 1}\nstages: [{name: x, \(rest)}]"
        let found = try Self.diagnostics(text).compactMap(\.suggestion)
        #expect(found.contains(suggestion), "\(found)")
    }

    @Test(arguments: [
        ("tmpfs: cache", "'cache' cannot be a folder in memory"), ("tmpfs: [/a/../b]", "cannot be a folder in memory"),
        ("tmpfs: [/a, /a]", "names a folder twice"), ("tmpfs: /proc/1", "/proc/1 belongs to the kernel"),
        ("tmpfs: '/a:rw'", "cannot be a folder in memory"), ("tmpfs: /", "cannot be a folder in memory"),
        ("capabilities: SYS_ADMIN", "'SYS_ADMIN' is no capability that a service can have"),
        ("capabilities: [CAP_CHOWN]", "'CAP_CHOWN' is no capability"), ("read_only: no", "read_only is true or false"),
    ])
    func wrongIsolation(rest: String, message: String) throws {
        let found = try Self.diagnostics("service: {port: 1, \(rest)}").map(\.message)
        #expect(found.contains { $0.contains(message) }, "\(found)")
    }

    @Test func partsThatNeedEachOther() throws {
        #expect(
            try Self.summary("stages: [{name: a, host: h}, {name: b, host: h, after: a}]") == [
                "1:1 stages need 'build' = add build: or remove stages",
                "1:1 stages need 'service' = add service: or remove stages",
                "1:46 stage 'a' has the same host = give every stage its own host, or paths of its own",
            ])
        #expect(
            try Self.summary("{}") == ["1:1 the pipeline does nothing: it has neither steps nor build = add steps: or build:"])
        #expect(try Self.summary("service: {port: 70000}")[1].contains("port is out of range: 70000"))
    }

    @Test func theFileNamesThePipeline() throws {
        let found = try Self.diagnostics("steps: [{name: a, image: i, commands: [x]}]", file: "pipelines/my file.yaml")
        #expect(found.map(\.message) == ["'my file' cannot name a pipeline"])
    }

    @Test(arguments: [
        ("build: {image: a, file: C, base: b}", "'base' does not go with 'file'"), ("build: {image: a, file: /C}", "file is not a path"),
        ("build: {image: a, file: C, copy: [{from: a, to: /a}]}", "'copy' does not go with 'file'"),
        ("build: {image: a, target: x}", "'target' goes with 'file' only"), ("build: {image: a, secrets: [s]}", "'secrets' goes with 'file' only"),
        ("build: {image: a, file: C, secrets: [1x]}", "'1x' is not the name of a secret"),
    ])
    func aContainerfileSaysWhatIsInTheImage(text: String, message: String) throws {
        let found = try Self.diagnostics(text)
        #expect(found.contains { $0.message.hasPrefix(message) }, "\(found)")
    }
}
