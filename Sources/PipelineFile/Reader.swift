internal import Yams

/// Walks the tree and collects mistakes. Every method returns nil after it has reported one.
final class Reader {
    let source: SourceText
    private var found: [Diagnostic] = []

    init(source: SourceText) { self.source = source }

    /// In the order of the file, at most ``PipelineParser/maximumDiagnostics``.
    var diagnostics: [Diagnostic] {
        let sorted = found.enumerated().sorted {
            ($0.element.line, $0.element.column, $0.offset) < ($1.element.line, $1.element.column, $1.offset)
        }
        return sorted.prefix(PipelineParser.maximumDiagnostics).map(\.element)
    }

    func report(_ node: Node, _ message: String, _ suggestion: String? = nil) {
        let mark = node.mark
        found.append(
            source.diagnostic(
                line: mark?.line ?? 1, column: mark?.column ?? 1, message, suggestion: suggestion))
    }

    /// The values of a mapping by canonical key.
    struct Fields {
        let node: Node
        fileprivate(set) var entries: [String: (key: Node, value: Node)] = [:]
        /// Keys that were there but empty or misspelt; they are not reported as missing.
        fileprivate(set) var refused: Set<String> = []

        subscript(key: String) -> Node? { entries[key]?.value }

        /// The key itself, for messages about the whole value.
        func key(_ key: String) -> Node { entries[key]?.key ?? node }
    }

    /// Reads a mapping and reports unknown, unsupported, repeated, empty and missing keys.
    func fields(_ node: Node, _ set: KeySet) -> Fields? {
        guard case .mapping(let pairs) = node else {
            report(node, "\(set.title) is a mapping, this is \(describe(node))", "write \(example(set))")
            return nil
        }
        var fields = Fields(node: node)
        for (key, value) in pairs {
            guard case .scalar(let scalar) = key else {
                report(key, "a key of \(set.title) is text, this is \(describe(key))")
                continue
            }
            let name = scalar.string
            let canonical = set.synonyms[name] ?? name
            guard set.keys.contains(canonical) else {
                if let meant = reportUnknown(key, name, set) { fields.refused.insert(meant) }
                continue
            }
            if let other = fields.entries[canonical] {
                let first = other.key.scalar?.string ?? canonical
                report(key, "'\(name)' and '\(first)' mean the same", "keep one of them")
                continue
            }
            if isNull(value) {
                report(key, "'\(name)' has no value", "give it one, or remove the key")
                fields.refused.insert(canonical)
                continue
            }
            fields.entries[canonical] = (key, value)
        }
        for key in set.required where fields[key] == nil && !fields.refused.contains(key) {
            report(node, "\(set.title) has no '\(key)'", "add \(key): …")
        }
        return fields
    }

    /// Returns the key that was probably meant.
    private func reportUnknown(_ key: Node, _ name: String, _ set: KeySet) -> String? {
        let shown = name.prefix(60)
        if set.notYet.contains(name) {
            report(
                key, "'\(shown)' is not supported yet in this version", "remove it; it would not have any effect")
        } else if let nearest = Suggestion.nearest(to: name, among: set.keys + set.synonyms.keys.sorted() + set.notYet) {
            report(key, "unknown key '\(shown)' in \(set.title)", "did you mean '\(nearest)'?")
            return set.synonyms[nearest] ?? nearest
        } else {
            report(key, "unknown key '\(shown)' in \(set.title)", "known keys: \(set.keys.joined(separator: ", "))")
        }
        return nil
    }

    private func example(_ set: KeySet) -> String {
        let keys = set.required.isEmpty ? Array(set.keys.prefix(2)) : set.required
        return "{" + keys.map { "\($0): …" }.joined(separator: ", ") + "}"
    }

    /// The entries of a list; anything else is reported.
    func list(_ node: Node, _ what: String, hint: String? = nil) -> [Node]? {
        guard case .sequence(let items) = node else {
            report(node, "\(what) is a list, this is \(describe(node))", hint ?? "begin every entry with '- '")
            return nil
        }
        return Array(items)
    }

    func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    func describe(_ node: Node) -> String {
        switch node {
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .scalar, .alias: isNull(node) ? "empty" : "text"
        }
    }
}
