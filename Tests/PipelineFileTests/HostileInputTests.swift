import PipelineFile
import Testing

/// Whatever a repository holds, the parser answers with a place and soon.
@Suite struct HostileInputTests {
    private func first(_ text: String) throws -> String {
        let found = try #require(try DiagnosticTests.diagnostics(text).first)
        return "\(found.line):\(found.column) \(found.message)"
    }

    @Test(arguments: [
        ("", "1:1 the file is empty"), ("# only this\n", "1:1 the file is empty"), ("~", "1:1 the file is empty"),
        ("- a", "1:1 the pipeline is a mapping, this is a list"), ("hello", "1:1 the pipeline is a mapping, this is text"),
        ("steps: {test: {image: x}}", "1:8 steps is a list, this is a mapping"),
        ("steps:\n\t- name: a", "2:1 a tab in the indentation"),
        ("steps:\n  - name: a\n\timage: x", "3:1 a tab in the indentation"),
        ("steps: []\n---\na: b", "2:1 a second document begins here"),
        ("steps:\n  - &a {name: a}\n  - *a", "2:5 anchors and aliases are not supported"),
        ("steps: *a", "1:8 anchors and aliases are not supported"),
        ("steps: !!set [a]", "1:8 the tag !!set is not supported"),
        ("steps: !x [a]", "1:8 the tag !x is not supported"),
        ("<<: {a: b}", "1:1 unknown key '<<' in the pipeline"),
        ("build: {image: a, ? [b] : c}", "1:21 a key of build is text, this is a list"),
        ("steps:\n  - name: a\n    image: i\n    name: b", "4:5 the key 'name' is given twice"),
        ("build: {image: a}\nwhen: {}\n\"build\": {}", "3:1 the key 'build' is given twice"),
        ("build: {image: a, base: b, image: c}", "1:28 the key 'image' is given twice"),
        ("steps: \"abc\n", "1:8 the quote is not closed"),
        ("steps: a\u{0}b", "1:9 control character U+0000"), ("steps: \u{1B}[31m", "1:8 control character U+001B"),
        ("build: {image: \"a\\0\"}", "1:16 image contains a NUL character"),
        ("a: b: c", "1:5 mapping values are not allowed in this context"),
        ("steps: [a, b\nwhen: x", "2:5 did not find expected ',' or ']' while parsing a flow sequence"),
        ("stéps: [\"日本語\", *y]", "1:16 anchors and aliases are not supported"),
        ("steps:\r\n  - nme: a\r\n", "2:5 unknown key 'nme' in step"),
        ("steps:\n  - name: a: b", "2:12 mapping values are not allowed in this context"),
    ])
    func badText(text: String, expected: String) throws {
        #expect(try first(text) == expected)
    }

    @Test(arguments: [
        String(repeating: "a", count: 300_000), String(repeating: "[", count: 250_000),
        String(repeating: "{", count: 100_000), String(repeating: "- ", count: 100_000),
        String(repeating: "? ", count: 100_000), String(repeating: "{\"a\":", count: 40_000),
        String(repeating: "[", count: 900) + String(repeating: "]", count: 900),
        "[" + String(repeating: "a,", count: 120_000) + "]", String(repeating: ":", count: 200_000),
        String(repeating: "-\n", count: 100_000), String(repeating: "&a *a ", count: 40_000),
        "steps: [{name: \"" + String(repeating: "x", count: 200_000) + "\"}]",
        (0..<12_000).map { "k\($0): 1\n" }.joined(), String(repeating: "\"a\": ", count: 50_000),
        "steps: [" + String(repeating: "{name: a, needs: [a, b], image: i, run: x},", count: 190) + "]",
        "when: {branch: [" + String(repeating: "'*a',", count: 5000) + "x]}",
    ])
    func bigText(text: String) throws {
        let clock = ContinuousClock()
        var found: [Diagnostic] = []
        let time = try clock.measure { found = try DiagnosticTests.diagnostics(text) }
        #expect((1...50).contains(found.count))
        #expect(found.allSatisfy { $0.description.utf8.count < 2000 })
        #expect(time < .seconds(60))
    }

    @Test func aliasBombsAreRefusedBeforeTheyGrow() throws {
        var bomb = "a0: &a0 [x, x]\n"
        for level in 1..<60 { bomb += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1), *a\(level - 1)]\n" }
        #expect(try first(bomb).hasSuffix("anchors and aliases are not supported"))
        // As a key, which is hashed while the tree is made.
        #expect(try first(bomb + "? *a59\n: 1\n").hasSuffix("anchors and aliases are not supported"))
    }

    @Test func anyPrefixOfAPipelineEitherParsesOrSaysWhere() throws {
        let text = PlanTests.gtin
        for length in stride(from: 0, to: text.count, by: 7) {
            do {
                _ = try PipelineParser.parse(String(text.prefix(length)), file: "p.yaml")
            } catch {
                #expect(!error.diagnostics.isEmpty)
                #expect(error.diagnostics.allSatisfy { $0.line >= 1 && $0.column >= 1 && !$0.message.isEmpty })
            }
        }
    }
}
