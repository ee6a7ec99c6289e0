import Testing

@testable import Containerfile

@Suite struct WordTests {
    static let environment = [
        "PWD": "/home", "SHELL": "bash", "EMPTY": "", "FOO": "foobarbaz", "KOREAN": "한국어", "PORTS": "80 81/udp",
        "PATTERN": "\\*/", "STARS": "/foo*/*/*.txt",
    ]

    static func expand(_ text: String, escape: Escape = .backslash, style: WordParser.Style = .word) throws -> String {
        let source = SourceText(file: "Containerfile", lines: [text])
        let word = try WordParser.parse(Fragment(text, at: (1, 1), text: source), escape: escape, style: style)
        return try word.expanded(in: environment)
    }

    @Test(arguments: [
        ("he$PWD", "he/home"), ("he${PWD}xx", "he/homexx"), ("he\\$PWD", "he$PWD"), ("he\\\\$PWD", "he\\/home"),
        ("'he$PWD'", "he$PWD"), ("\"he'$PWD'\"", "he'/home'"), ("\"he\\tllo\"", "he\\tllo"), ("he\\tllo", "hetllo"),
        ("\"a\\\"b\\$c\\\\d\"", "a\"b$c\\d"), ("'a\\'", "a\\"), ("end\\", "end"), ("$.", "$."), ("he$1x", "hex"),
        ("he$pwd.", "he."), ("$", "$"), ("${1:-bbb}", "bbb"), ("$$", ""), ("${aaa}}", "}"),
        ("${X:-000}", "000"), ("${PWD:-000}", "/home"), ("${EMPTY:-000}", "000"), ("${EMPTY-000}", ""),
        ("${X-000}", "000"), ("${X:+000}", ""), ("${PWD:+000}", "000"), ("${EMPTY:+000}", ""), ("${EMPTY+000}", "000"),
        ("${X:-${Y:-${PWD}}}", "/home"), ("${X:-\\${PWD}z}", "${PWDz}"), ("${PWD:+${PWD}:}xx", "/home:xx"),
        ("${X:-'a}b'}", "a}b"), ("${X:-\"a}b\"}", "a}b"), ("${aaa:-bbb {foo}", "bbb {foo"),
        ("${PWD:?no}", "/home"), ("${EMPTY?no}", ""), ("안녕$KOREAN!", "안녕한국어!"),
        ("${FOO#f*b}", "arbaz"), ("${FOO##f*b}", "az"), ("${FOO%b*}", "foobar"), ("${FOO%%b*}", "foo"),
        ("${FOO/ba/fo}", "foofortbaz".replacing("t", with: "")), ("${FOO//ba/fo}", "fooforfoz"), ("${FOO#x}", "foobarbaz"),
        ("${FOO#}", "foobarbaz"), ("${FOO#?}", "oobarbaz"), ("${FOO##*}", ""), ("${FOO%%*}", ""), ("${FOO#*}", "foobarbaz"),
        ("${STARS/$PATTERN/.}", "/foo.*/*.txt"), ("${STARS//$PATTERN/.}", "/foo..*.txt"), ("${STARS//\\//-}", "-foo*-*-*.txt"),
        ("${STARS//\\*/}", "/foo//.txt"), ("${X///}", ""), ("${FOO///}", "foobarbaz"), ("${FOO//o/}", "fbarbaz"),
        ("${FOO/a*/}", "foob"), ("${FOO//?/x}", "xxxxxxxxx"),
        ("${X#\\}}", ""), ("", ""), ("\"\"", ""),
    ])
    func expands(_ text: String, _ expected: String) throws {
        #expect(try Self.expand(text) == expected)
    }

    @Test(arguments: [
        ("a`$PWD", "a$PWD"), ("c:\\dir", "c:\\dir"), ("\"a`\"b\"", "a\"b"), ("${FOO#`?}", "foobarbaz"), ("$PWD``", "/home`"),
    ])
    func backtickEscapes(_ text: String, _ expected: String) throws {
        #expect(try Self.expand(text, escape: .backtick) == expected)
    }

    @Test(arguments: [
        ("a \"$PWD\" 'b'", "a \"/home\" 'b'"), ("\\$PWD \\\\ \\n", "$PWD \\ n"), ("it's", "it's"),
    ])
    func heredocsKeepQuotes(_ text: String, _ expected: String) throws {
        #expect(try Self.expand(text, style: .heredoc) == expected)
    }

    @Test(arguments: [
        "${}", "${", "${PWD", "${.}", "${X:YYY}", "${PWD:=000}", "${FOO=a}", "${{aaa}", "${aaa:-bbb", "${:}", "${:-b}", "${+b}",
        "'open", "\"open", "\"open\\\"", "${FOO:#a}", "${FOO//}", "${FOO//ww}", "${FOO#\\a}",
        String(repeating: "${a:-", count: 40) + String(repeating: "}", count: 40),
    ])
    func refusesMalformed(_ text: String) throws {
        #expect(throws: Mistake.self) { try Self.expand(text) }
    }

    @Test(arguments: [("${X?}", "X: is not set"), ("${EMPTY:?}", "EMPTY: is empty"), ("${X:?give $PWD}", "X: give /home")])
    func refusesMissingValues(_ text: String, _ message: String) throws {
        let error = #expect(throws: ContainerfileError.self) { try Self.expand(text) }
        #expect(error?.code == .expansion)
        #expect(error?.diagnostics.first?.message == message)
    }

    @Test func splitsAfterExpansion() throws {
        let source = SourceText(file: "Containerfile", lines: [""])
        func words(_ text: String) throws -> [String] {
            try WordParser.parse(Fragment(text, at: (1, 1), text: source), escape: .backslash)
                .expandedWords(in: Self.environment)
        }
        #expect(try words("$PORTS") == ["80", "81/udp"])
        #expect(try words("\"$PORTS\"") == ["80 81/udp"])
        #expect(try words("1$PORTS'2 3'") == ["180", "81/udp2 3"])
        #expect(try words("$EMPTY") == [])
    }

    @Test func hostilePatternsFailInsteadOfHanging() throws {
        let source = SourceText(file: "Containerfile", lines: [""])
        let pattern = String(repeating: "*a", count: 500) + "b"
        let word = try WordParser.parse(
            Fragment("${V//\(pattern)/x}", at: (1, 1), text: source), escape: .backslash)
        let error = #expect(throws: ContainerfileError.self) {
            try word.expanded(in: ["V": String(repeating: "a", count: 20_000)])
        }
        #expect(error?.code == .expansion)
        let long = try WordParser.parse(
            Fragment(String(repeating: "$V", count: 2000), at: (1, 1), text: source), escape: .backslash)
        #expect(throws: ContainerfileError.self) {
            try long.expanded(in: ["V": String(repeating: "a", count: 2000)])
        }
    }
}
