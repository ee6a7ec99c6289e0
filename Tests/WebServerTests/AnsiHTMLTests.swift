import Testing
import WebServer

@Suite("Log lines as markup")
struct AnsiHTMLTests {
    @Test("plain text is escaped and nothing else")
    func escaping() {
        #expect(AnsiHTML.line("a < b && \"c\" > 'd'") == "a &lt; b &amp;&amp; &quot;c&quot; &gt; &#39;d&#39;")
        #expect(AnsiHTML.line("größer 日本 👍\tx") == "größer 日本 👍\tx")
        #expect(AnsiHTML.line("") == "")
    }

    @Test("a quote or bracket hidden in a grapheme cluster is escaped all the same")
    func combiningScalars() {
        let line = AnsiHTML.line("\"\u{301} <\u{338}script>")
        #expect(!line.unicodeScalars.contains("<") && !line.unicodeScalars.contains("\""))
    }

    @Test(
        "colours become classes",
        arguments: [
            ("\u{1B}[31mred\u{1B}[0m x", "<span class=\"f1\">red</span> x"),
            ("\u{1B}[1;32mok\u{1B}[m", "<span class=\"f2 bold\">ok</span>"),
            ("\u{1B}[91;44mx", "<span class=\"f9 b4\">x</span>"),
            ("\u{1B}[1ma\u{1B}[22mb", "<span class=\"bold\">a</span>b"),
            ("\u{1B}[38;5;1mx", "<span class=\"f1\">x</span>"),
            ("\u{1B}[38;2;255;0;0mx\u{1B}[39my", "<span class=\"f1\">x</span>y"),
            ("\u{1B}[38:5:4mx", "<span class=\"f4\">x</span>"),
            ("\u{9B}32mx", "<span class=\"f2\">x</span>"),
        ])
    func colours(line: String, markup: String) {
        #expect(AnsiHTML.line(line) == markup)
    }

    @Test(
        "everything else a terminal would act on is dropped",
        arguments: [
            ("\u{1B}[2J\u{1B}[1;1Hhome", "home"),
            ("\u{1B}]0;title\u{7}x", "x"),
            ("\u{1B}]8;;javascript:alert(1)\u{1B}\\link\u{1B}]8;;\u{1B}\\", "link"),
            ("\u{1B}(Bx", "x"),
            ("\u{1B}[?25lx", "x"),
            ("a\u{8}b\u{0}c\u{7F}", "abc"),
            ("10%\r50%\r100%\r\n", "100%"),
            ("end \u{1B}", "end "), ("end \u{1B}[", "end "), ("end \u{1B}[38;5", "end "), ("\u{1B}]never ends", ""),
            ("\u{1B}[3<1mx", "x"),
            ("\u{202E}evil", "\u{FFFD}evil"),
        ])
    func controls(line: String, markup: String) {
        #expect(AnsiHTML.line(line) == markup)
    }

    @Test("an escape sequence cannot smuggle markup")
    func smuggling() {
        #expect(AnsiHTML.line("\u{1B}[31\"><script>m") == "cript&gt;m")
        #expect(AnsiHTML.line("\u{1B}[31é<b>") == "é&lt;b&gt;")
        #expect(AnsiHTML.line("\u{1B}[99999999999999999999999mx") == "x")
        #expect(AnsiHTML.line("\u{1B}[38;2;1mx").hasSuffix("x"))
    }

    @Test("long lines and endless styles are bounded")
    func bounds() {
        let long = AnsiHTML.line(String(repeating: "<", count: 1_000_000), limit: 1_000)
        #expect(long.hasPrefix("&lt;&lt;") && long.utf8.count < 4_200 && long.contains("line cut after 1000"))
        let styles = AnsiHTML.line(String(repeating: "\u{1B}[31mx\u{1B}[32my", count: 1_000))
        #expect(styles.components(of: "<span").count - 1 <= 256)
        #expect(styles.components(of: "<span").count == styles.components(of: "</span").count)
        let many = AnsiHTML.line("\u{1B}[" + String(repeating: "1;", count: 8_000) + "mx")
        #expect(many == "<span class=\"bold\">x</span>" || many == "x")
    }

    @Test("any mix of bytes gives balanced markup without foreign tags")
    func fuzz() {
        var generator = Linear(state: 42)
        let alphabet = Array("\u{1B}\u{1B}[[]];:0123456789mmHK<>&\"'ab\r\n\t\u{7}\u{9B}\\ é".unicodeScalars)
        for _ in 0..<2_000 {
            var text = String.UnicodeScalarView()
            for _ in 0..<Int(generator.next() % 60) { text.append(alphabet[Int(generator.next() % UInt64(alphabet.count))]) }
            let markup = AnsiHTML.line(String(text))
            let opened = markup.components(of: "<span class=\"").count
            #expect(opened == markup.components(of: "</span>").count)
            #expect(markup.components(of: "<").count - 1 == 2 * (opened - 1), "foreign tag in \(markup)")
        }
    }
}

/// Repeatable numbers.
private struct Linear: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
}

extension String {
    /// The parts between occurrences of `separator`, compared byte by byte.
    func components(of separator: String) -> [[UInt8]] {
        Array(utf8).split(separator: Array(separator.utf8), omittingEmptySubsequences: false).map(Array.init)
    }
}
