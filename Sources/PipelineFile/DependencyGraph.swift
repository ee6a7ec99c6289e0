internal import Yams

/// Names with what each waits for: steps by `depends_on`, stages by `after`.
struct DependencyGraph {
    /// "step" or "stage".
    let what: String
    private var order: [String] = []
    private var nodes: [String: Node] = [:]
    private var edges: [String: [(name: String, node: Node)]] = [:]

    init(what: String) { self.what = what }

    /// Adds a name; one that is already there is reported.
    mutating func add(_ name: String, at node: Node, dependencies: [(name: String, node: Node)], _ reader: Reader) {
        if let first = nodes[name] {
            let line = first.mark.map { " (line \($0.line))" } ?? ""
            reader.report(node, "there already is a \(what) '\(name)'\(line)", "give every \(what) its own name")
            return
        }
        order.append(name)
        nodes[name] = node
        edges[name] = dependencies
    }

    /// Reports unknown names, repetitions and cycles.
    func check(_ reader: Reader) {
        for name in order {
            var seen: Set<String> = []
            for (dependency, node) in edges[name] ?? [] {
                if dependency == name {
                    reader.report(node, "\(what) '\(name)' waits for itself", "remove it")
                } else if nodes[dependency] == nil {
                    let nearest = Suggestion.nearest(to: dependency, among: order.filter { $0 != name })
                    reader.report(
                        node, "there is no \(what) '\(dependency.prefix(80))'",
                        nearest.map { "did you mean '\($0)'?" } ?? "known: \(order.prefix(20).joined(separator: ", "))")
                } else if !seen.insert(dependency).inserted {
                    reader.report(node, "'\(dependency)' is named twice", "keep one")
                }
            }
        }
        reportCycles(reader)
    }

    /// Depth first; the number of names is bounded by the caller, and so is the recursion.
    private func reportCycles(_ reader: Reader) {
        var finished: Set<String> = []
        var path: [String] = []
        func visit(_ name: String) {
            path.append(name)
            for (dependency, node) in edges[name] ?? [] where dependency != name && !finished.contains(dependency) {
                if let start = path.firstIndex(of: dependency) {
                    let cycle = path[start...] + [dependency]
                    reader.report(
                        node, "\(what)s wait for each other: \(cycle.joined(separator: " → "))",
                        "remove one of these dependencies")
                } else if nodes[dependency] != nil {
                    visit(dependency)
                }
            }
            path.removeLast()
            finished.insert(name)
        }
        for name in order where !finished.contains(name) { visit(name) }
    }
}
