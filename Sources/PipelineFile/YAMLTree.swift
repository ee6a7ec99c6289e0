internal import Yams

/// From text to a tree of nodes that is safe to walk: one document, bounded, no anchors, no tags.
enum YAMLTree {
    /// Lends the tree of `text` to `body`.
    static func withRoot<T>(
        of text: String, source: SourceText, _ body: (Node) -> T
    ) throws(PipelineError) -> T {
        try refuseControlCharacters(source)
        try refuseAliasBombs(text, source)
        do {
            let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
            // Anchors are weak references into the parser.
            return try withExtendedLifetime(parser) {
                guard let root = try parser.singleRoot() else {
                    throw failure(
                        .syntax, source, 1, 1, "the file is empty",
                        "begin with steps or build; docs/pipeline.md shows examples")
                }
                try check(root, source)
                return body(root)
            }
        } catch let error as PipelineError {
            throw error
        } catch {
            throw syntaxError(error, source)
        }
    }

    static func failure(
        _ code: PipelineError.Code, _ source: SourceText, _ line: Int, _ column: Int, _ message: String,
        _ suggestion: String?
    ) -> PipelineError {
        PipelineError(
            code: code,
            diagnostics: [source.diagnostic(line: line, column: column, message, suggestion: suggestion)])
    }

    private static func refuseControlCharacters(_ source: SourceText) throws(PipelineError) {
        for (index, line) in source.lines.enumerated() {
            for (column, scalar) in line.unicodeScalars.enumerated() where SourceText.isControl(scalar) {
                let code = String(scalar.value, radix: 16, uppercase: true)
                let name = "U+" + String(repeating: "0", count: max(0, 4 - code.count)) + code
                throw failure(
                    .syntax, source, index + 1, column + 1, "control character \(name)",
                    "remove it; in a double-quoted string it is written as an escape")
            }
        }
    }

    /// Aliases are refused on the tree, where they are certain. But an alias inside a mapping key makes building the
    /// tree itself exponential, so a file where many `*name` follow their `&name` never gets that far.
    private static func refuseAliasBombs(_ text: String, _ source: SourceText) throws(PipelineError) {
        let bytes = Array(text.utf8)
        var anchors: Set<ArraySlice<UInt8>> = []
        var aliases = 0
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "&") || byte == UInt8(ascii: "*") else { continue }
            var end = index
            while end < bytes.count, isAnchorCharacter(bytes[end]) { end += 1 }
            guard end > index else { continue }
            let name = bytes[index..<end]
            if byte == UInt8(ascii: "&") {
                anchors.insert(name)
            } else if anchors.contains(name) {
                aliases += 1
            }
            index = end
            if aliases > 16 {
                let before = String(decoding: bytes[..<index], as: UTF8.self)
                let position = SourceText(before, file: source.file)
                let column = position.line(position.lines.count).unicodeScalars.count - name.count
                throw failure(
                    .syntax, source, position.lines.count, column, "anchors and aliases are not supported",
                    "write the values out")
            }
        }
    }

    private static func isAnchorCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// Bounds the tree and refuses anchors and tags. Without a recursion: the depth is not known yet.
    private static func check(_ root: Node, _ source: SourceText) throws(PipelineError) {
        var pending = [(node: root, depth: 1)]
        var count = 0
        while let (node, depth) = pending.popLast() {
            count += 1
            let line = node.mark?.line ?? 1, column = node.mark?.column ?? 1
            if count > PipelineParser.maximumNodes {
                throw failure(
                    .tooLarge, source, line, column, "more than \(PipelineParser.maximumNodes) values",
                    "split the pipeline into several files")
            }
            if depth > PipelineParser.maximumDepth {
                throw failure(
                    .tooLarge, source, line, column, "nested more than \(PipelineParser.maximumDepth) deep", nil)
            }
            if node.anchor != nil {
                throw failure(
                    .syntax, source, line, column, "anchors and aliases are not supported", "write the values out")
            }
            if let tag = explicitTag(of: node) {
                throw failure(
                    .syntax, source, line, column, "the tag \(tag) is not supported",
                    "leave it out; quote a value to make it text")
            }
            switch node {
            case .scalar, .alias: break
            case .sequence(let items): pending += items.reversed().map { ($0, depth + 1) }
            case .mapping(let pairs):
                for (key, value) in pairs.reversed() { pending += [(value, depth + 1), (key, depth + 1)] }
            }
        }
    }

    /// The tag written at a node. Those that say what the node is anyway (`!!str` at text) change nothing, and Yams
    /// sets them itself while it compares keys.
    private static func explicitTag(of node: Node) -> String? {
        let tag: String
        let usual: Tag.Name
        switch node {
        case .scalar(let scalar): (tag, usual) = (scalar.tag.rawValue, .str)
        case .sequence(let items): (tag, usual) = (items.tag.rawValue, .seq)
        case .mapping(let pairs): (tag, usual) = (pairs.tag.rawValue, .map)
        case .alias: return nil
        }
        if tag.isEmpty || tag == usual.rawValue { return nil }
        let standard = "tag:yaml.org,2002:"
        return tag.hasPrefix(standard) ? "!!" + tag.dropFirst(standard.count).prefix(60) : String(tag.prefix(60))
    }
}
