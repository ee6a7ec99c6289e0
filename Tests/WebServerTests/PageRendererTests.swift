import Foundation
import Testing
import WebAssets

@testable import WebServer

@Suite("Pages")
struct PageRendererTests {
    let renderer: PageRenderer

    init() throws { renderer = try PageRenderer() }

    @Test("every page renders as a whole document that shows its texts")
    func documents() {
        for (name, html) in SamplePages(text: "moonbeam").all(renderer) {
            #expect(html.hasPrefix("<!doctype html>"), "\(name)")
            #expect(html.hasSuffix("</html>"), "\(name)")
            #expect(html.contains("moonbeam") && !html.contains("{{") && !html.contains("@version@"), "\(name)")
        }
    }

    @Test(
        "names, messages and logs from outside cannot add markup",
        arguments: [
            "</title><script>alert(1)</script>", "\" onmouseover=\"alert(1)", "\"\u{301} onmouseover=\u{301}x",
            "'\u{200D}><img src=x>", "<\u{338}script>", "&lt;b&gt;", "{{shell.csrf}}{{{markup}}}", "\u{202E}txt.exe",
            "../../..//evil", "javascript:alert(1)",
        ])
    func hostile(text: String) throws {
        let plain = SamplePages(text: "plain").all(renderer)
        for (name, html) in SamplePages(text: text).all(renderer) {
            // The same tags as with a harmless text, byte for byte of `<`.
            #expect(html.components(of: "<").count == plain[name]?.components(of: "<").count, "\(name): \(text)")
            #expect(
                html.components(of: "\"").count == plain[name]?.components(of: "\"").count, "quotes in \(name): \(text)")
            #expect(!html.contains("href=\"javascript:") && !html.contains("\u{202E}"), "\(name)")
            #expect(html.components(of: "value=\"c5rf\"").count == plain[name]?.components(of: "value=\"c5rf\"").count)
        }
    }

    @Test("what a strict content security policy forbids is on no page")
    func policy() {
        for (name, template) in WebAssets.templates {
            #expect(template.components(of: "{{{").count == template.components(of: "{{{markup}}}").count, "\(name)")
            for forbidden in [" style=", "<style", " onclick", "http://", "javascript:", "{{&"] {
                #expect(!template.contains(forbidden), "\(forbidden) in \(name)")
            }
            #expect(template.components(of: "<script").count == (name == "top" ? 2 : 1), "\(name)")
            let posts = template.components(of: "method=\"post\"").count
            #expect(posts == template.components(of: "{{>csrf}}").count, "a form without token in \(name)")
        }
    }

    @Test("a live log says where its stream goes on, a finished one has none")
    func liveLog() {
        let page = SamplePages(text: "unit test")
        #expect(
            renderer.render(page.run).contains("data-events=\"/runs/unit%20test/events?step=unit%20test&amp;after=80\""))
        let finished = renderer.render(page.stepLog)
        #expect(finished.contains("data-offset=\"80\"") && !finished.contains("data-events"))
    }

    @Test("only http and https hosts become links")
    func links() {
        let live = StageCard(stage: "dev", badge: StateBadge(state: "live"), host: "a.localhost", hostURL: "http://a.localhost/")
        #expect(live.hostURL != nil)
        #expect(StageCard(stage: "dev", badge: StateBadge(state: "live"), host: "x", hostURL: "javascript:x").hostURL == nil)
    }

    @Test("the caret stands under the column, tabs kept, ends respected")
    func caret() {
        func caret(_ column: Int, _ source: String) -> String {
            DiagnosticBlock(file: "f", line: 1, column: column, message: "", source: source).caret
        }
        #expect(caret(3, "  x") == "  ^" && caret(3, "\t\tx") == "\t\t^")
        #expect(caret(0, "x") == "^" && caret(-9, "x") == "^" && caret(.max, "ab") == "  ^" && caret(.min, "") == "^")
    }

    @Test("a graph with circles, unknown names and many steps ends")
    func graph() throws {
        func step(_ name: String, _ needs: [String]) -> StepGraph.Step {
            .init(name: name, badge: StateBadge(state: "waiting"), detail: "", dependsOn: needs)
        }
        #expect(StepGraph(steps: []) == nil)
        let line = try #require(StepGraph(steps: [step("a", []), step("b", ["a"]), step("c", ["b", "a"])]))
        #expect(line.width == 3 + 2 * 220 + 176 + 3 && line.height == 54)
        _ = StepGraph(steps: [step("a", ["b"]), step("b", ["a"]), step("c", ["c", "ghost"])])
        #expect(StepGraph(steps: (0..<200).map { step("s\($0)", ["s\($0 - 1)"]) }) != nil)
        #expect(StepGraph(steps: (0..<201).map { step("s\($0)", []) }) == nil)
    }

    @Test("Assets.swift is in step with the files of web/")
    func assetsInStep() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("web")
        func names(_ folder: String, _ ending: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent(folder).path)
                .filter { $0.hasSuffix(ending) }
        }
        let templates = try names("templates", ".mustache")
        #expect(Set(templates.map { String($0.dropLast(9)) }) == Set(WebAssets.templates.keys), "run web/embed.sh")
        for name in templates {
            let text = try String(contentsOf: root.appendingPathComponent("templates/\(name)"), encoding: .utf8)
            #expect(WebAssets.templates[String(name.dropLast(9))] == text, "run web/embed.sh: \(name) changed")
        }
        let files =
            try names("css", ".css").map { "css/\($0)" } + names("js", ".js").map { "js/\($0)" }
            + names("images", ".svg").map { "images/\($0)" }
        #expect(files.count == WebAssets.files.count, "run web/embed.sh")
        for path in files {
            let name = path.split(separator: "/").last.map(String.init) ?? ""
            let data = try Data(contentsOf: root.appendingPathComponent(path))
            #expect(WebAssets.files[name]?.bytes == Array(data), "run web/embed.sh: \(path) changed")
        }
    }

    @Test("every pair of text and ground in the style sheet has a contrast of at least 4.5 (WCAG AA), in both themes")
    func contrast() throws {
        let sheet = String(decoding: try #require(WebAssets.files["app.css"]).bytes, as: UTF8.self)
        let themes = sheet.components(separatedBy: "prefers-color-scheme: dark")
        #expect(themes.count == 2)
        var colours: [String: String] = [:]
        for theme in themes {
            let block = theme.components(separatedBy: ":root {").last?.components(separatedBy: "}").first ?? ""
            for match in block.matches(of: /--([a-z-]+): #([0-9a-f]{6});/) { colours[String(match.1)] = String(match.2) }
            var pairs = [("accent-ink", "accent"), ("log-ink", "log"), ("log-muted", "log"), ("failure", "failure-soft")]
            for text in ["ink", "muted", "accent"] {
                for ground in ["bg", "surface", "sunken"] { pairs.append((text, ground)) }
            }
            for tone in StateBadge.Tone.allCases {
                for ground in ["surface", "sunken", "waiting-soft", "\(tone)-soft"] { pairs.append(("\(tone)", ground)) }
            }
            for (text, ground) in pairs {
                let front = try #require(colours[text]), back = try #require(colours[ground])
                #expect(ratio(front, back) >= 4.5, "\(text) #\(front) on \(ground) #\(back)")
            }
        }
    }

    private func ratio(_ one: String, _ other: String) -> Double {
        func luminance(_ hex: String) -> Double {
            let value = Int(hex, radix: 16) ?? 0
            let parts = [value >> 16, value >> 8 & 255, value & 255].map { part -> Double in
                let level = Double(part) / 255
                return level <= 0.04045 ? level / 12.92 : pow((level + 0.055) / 1.055, 2.4)
            }
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
        }
        let levels = [luminance(one), luminance(other)].sorted()
        return (levels[1] + 0.05) / (levels[0] + 0.05)
    }

    @Test(
        "the stages of all pipelines in one order",
        arguments: [
            ([["dev", "prod"], ["dev", "staging", "prod"]], ["dev", "staging", "prod"]),
            ([["dev", "prod"], ["test"], ["dev", "prod", "mirror"]], ["test", "dev", "prod", "mirror"]),
            ([["a", "b"], ["b", "a"]], ["a", "b"]), ([], []),
        ])
    func columns(lists: [[String]], columns: [String]) {
        #expect(Pages.columns(lists) == columns)
    }
}
