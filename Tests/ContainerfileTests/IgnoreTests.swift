import Testing

@testable import Containerfile

@Suite struct IgnoreTests {
    static func rules(_ text: String) throws -> IgnoreRules {
        try IgnoreRules(parsing: Array(text.utf8), file: ".dockerignore")
    }

    @Test(arguments: [
        ("a", ["a", "a/b", "a/b/c"], ["b", "b/a", "ab"]),
        ("/a/", ["a", "a/b"], ["b/a"]),
        ("*.md", ["x.md", ".md", "d.md/x"], ["d/x.md", "x.mdx"]),
        ("*/*.md", ["d/x.md"], ["x.md", "d/e/x.md"]),
        ("**/*.md", ["x.md", "d/x.md", "d/e/x.md"], ["x.txt"]),
        ("**", ["a", "a/b"], []), ("a/**", ["a/b", "a/b/c"], ["a", "ab"]), ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["b", "ab", "a/xb"]),
        ("**.o", ["x.o", "d/x.o"], ["x.c"]), ("a?c", ["abc", "a.c"], ["a/c", "ac"]),
        ("[a-c]x", ["ax", "cx"], ["dx"]), ("[^a-c]x", ["dx"], ["ax", "/x"]), ("a\\*b", ["a*b"], ["axb"]), ("\\#x", ["#x"], ["x"]),
        ("#x\nb", ["b"], ["#x"]), (" a \n\n  b", ["a", "b"], []), ("./a/../b/./c", ["b/c"], ["a"]), ("../a", ["../a"], ["a"]),
        (".", [], ["a"]), ("a.b", ["a.b"], ["axb"]), ("**/x/**/y", ["x/y", "a/x/b/c/y"], ["x", "y"]), ("한*", ["한국"], ["국"]),
        ("*\n!a", ["b", "b/c"], ["a", "a/b"]), ("a\n!a/b/c", ["a", "a/b", "a/x", "a/b/d"], ["a/b/c", "a/b/c/d"]),
        ("!a\na", ["a"], ["b"]), ("a\n!a\na/x", ["a/x"], ["a", "a/y"]), ("**\n!**/*.md\nsecret.md", ["x", "secret.md", "d"], ["d/x.md", "x.md"]),
        ("a\r\n! b\r\nb*\r\n", ["a", "b"], []), ("\u{FEFF}a", ["a"], []),
    ])
    func takes(_ text: String, _ excluded: [String], _ kept: [String]) throws {
        let rules = try Self.rules(text)
        for path in excluded { #expect(rules.excludes(path), "\(path)") }
        for path in kept { #expect(!rules.excludes(path), "\(path)") }
    }

    @Test func tellsWhichFoldersNeedNotBeOpened() throws {
        let rules = try Self.rules("*\n!src/**/*.c\n!docs\nsrc/gen")
        func folder(_ path: String) -> IgnoreRules.Folder {
            path.split(separator: "/").reduce(rules.root) { $0.entry($1) }
        }
        #expect(folder("node").isExcluded)
        #expect(!folder("node").mayHoldExceptions)
        #expect(folder("src").isExcluded)
        #expect(folder("src").mayHoldExceptions)
        #expect(folder("src/gen").isExcluded)
        #expect(!folder("src/gen").mayHoldExceptions)
        #expect(!folder("docs").isExcluded)
        #expect(!folder("docs/x/y").isExcluded)
        #expect(!folder("src/a/b.c").isExcluded)
    }

    @Test(arguments: ["!", "a[", "[]", "[z-a]", "a\\", "[a-]", String(repeating: "a", count: 5000)])
    func refuses(_ text: String) throws {
        let error = #expect(throws: ContainerfileError.self) { try Self.rules("x\n" + text) }
        #expect(error?.diagnostics.first?.line == 2)
        #expect(error?.diagnostics.first?.suggestion != nil)
    }

    @Test func aHundredThousandPathsAreQuick() throws {
        let rules = try Self.rules(
            "*.tmp\n**/*.o\n**/node_modules\n.git\nbuild/**\n!build/keep\n**/cache/**/x\ndocs/*.md\n**/.DS_Store\nvendor/a/b\n")
        let clock = ContinuousClock()
        var excluded = 0
        let time = clock.measure {
            for folder in 0..<1000 {
                let entry = rules.root.entry("folder\(folder)")
                for file in 0..<100 where entry.entry(file.isMultiple(of: 4) ? "object\(file).o" : "source\(file).c").isExcluded {
                    excluded += 1
                }
            }
        }
        #expect(excluded == 25_000)
        // Unoptimised; the optimised library needs a fraction of it.
        #expect(time < .seconds(60))
    }

    @Test func hostilePatternsAreLinear() throws {
        let rules = try Self.rules(String(repeating: "*a", count: 1000) + "b\n" + String(repeating: "**/", count: 1000) + "b")
        let clock = ContinuousClock()
        let time = clock.measure { _ = rules.excludes(String(repeating: "a/", count: 100) + String(repeating: "a", count: 200)) }
        #expect(time < .seconds(30))
    }

    @Test func namesTheFiles() {
        let names = IgnoreRules.fileNames(forContainerfile: "docker/App.Containerfile")
        #expect(names.own == "docker/App.Containerfile.dockerignore")
        #expect(names.context == [".containerignore", ".dockerignore"])
    }

    @Test func readsSourcePatterns() throws {
        func matches(_ pattern: String, _ path: String) throws -> Bool { try PathPattern(parsing: pattern).matches(path) }
        #expect(try matches("*.txt", "a.txt"))
        #expect(try !matches("*.txt", "d/a.txt"))
        #expect(try matches("d*/[ab]?", "dir/ax"))
        #expect(try matches("**/x", "d/x"))
        #expect(try !matches("**/x", "x"))
        #expect(try matches("arr[[]0].txt", "arr[0].txt"))
        #expect(try matches("/../a/./b/", "a/b"))
        #expect(try PathPattern(parsing: "a/b\\*").components.map(\.literal) == ["a", "b*"])
        #expect(try PathPattern(parsing: ".").components.isEmpty)
        #expect(try !PathPattern(parsing: "a/*").isLiteral)
        #expect(throws: InvalidValue.self) { try PathPattern(parsing: "a[") }
    }
}
