internal import Yams

extension Reader {
    private static let longestGroup = 200

    /// `concurrency: NAME` or `concurrency: {group: NAME, cancel: true}`.
    func concurrency(_ node: Node) -> ConcurrencyPlan? {
        if case .scalar = node { return group(node, "concurrency").map { ConcurrencyPlan(group: $0) } }
        guard let fields = fields(node, .concurrency), let group = fields["group"].flatMap({ group($0, "group") }) else {
            return nil
        }
        return ConcurrencyPlan(group: group, cancel: fields["cancel"].flatMap { bool($0, "cancel") } ?? false)
    }

    private func group(_ node: Node, _ what: String) -> String? {
        guard let text = text(node, what) else { return nil }
        guard text.utf8.count <= Self.longestGroup, text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
            report(node, "\(what) is not the name of a group", "use at most \(Self.longestGroup) printable characters")
            return nil
        }
        let known = ConcurrencyPlan.placeholders
        var rest = text[...]
        while let brace = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            let close = rest[brace...].firstIndex(of: "}")
            guard rest[brace] == "{", let close else {
                report(node, "\(what) has a brace without its other half", "write {branch} or {event}")
                return nil
            }
            let name = String(rest[rest.index(after: brace)..<close])
            guard known.contains(name) else {
                let nearest = Suggestion.nearest(to: name, among: known).map { "did you mean '{\($0)}'?" }
                report(
                    node, "\(what) has the unknown part '{\(name.prefix(60))}'",
                    nearest ?? "known parts: \(known.map { "{\($0)}" }.joined(separator: ", "))")
                return nil
            }
            rest = rest[rest.index(after: close)...]
        }
        return text
    }
}
