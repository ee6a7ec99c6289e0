internal import DeliveryModel
internal import Yams

extension Reader {
    private static let strategies = ["blue_green", "rolling", "canary"]

    /// `rolling`, or `{canary: {…}}`.
    func strategy(_ node: Node) -> RolloutStrategy? {
        if case .scalar(let scalar) = node {
            switch scalar.string {
            case "blue_green": return .blueGreen(.init())
            case "rolling": return .rolling(.init())
            case "canary": return .canary(.init(weights: [100, 250, 500]))
            default:
                report(
                    node, "there is no strategy '\(scalar.string.prefix(60))'",
                    "write one of: \(Self.strategies.joined(separator: ", "))")
                return nil
            }
        }
        guard let fields = fields(node, .strategy) else { return nil }
        let given = Self.strategies.filter { fields[$0] != nil }
        guard given.count == 1, let name = given.first, let options = fields[name] else {
            report(node, "a stage has one strategy", "write one of: \(Self.strategies.joined(separator: ", "))")
            return nil
        }
        switch name {
        case "rolling": return rolling(options)
        case "canary": return canary(options)
        default: return blueGreen(options)
        }
    }

    private func blueGreen(_ node: Node) -> RolloutStrategy? {
        guard let fields = fields(node, .blueGreen) else { return nil }
        return .blueGreen(.init(preview: fields["preview"].flatMap { host($0) }, pause: fields["pause"].flatMap { hold($0, "pause") }))
    }

    private func rolling(_ node: Node) -> RolloutStrategy? {
        guard let fields = fields(node, .rolling) else { return nil }
        var options = RolloutStrategy.Rolling()
        if let node = fields["max_surge"] { options.maxSurge = integer(node, "max_surge", 0...100) ?? 1 }
        if let node = fields["max_unavailable"] { options.maxUnavailable = integer(node, "max_unavailable", 0...100) ?? 0 }
        if let node = fields["ready"] { options.ready = duration(node, "ready", 0...3600) ?? 0 }
        if options.maxSurge == 0, options.maxUnavailable == 0 {
            report(node, "max_surge and max_unavailable are both 0: nothing could ever be replaced", "write max_surge: 1")
        }
        return .rolling(options)
    }

    private func canary(_ node: Node) -> RolloutStrategy? {
        guard let fields = fields(node, .canary) else { return nil }
        var options = RolloutStrategy.Canary(weights: [100, 250, 500])
        if let node = fields["weights"], let items = list(node, "weights", hint: "write [5, 25, 50]") {
            options.weights = items.compactMap { percent($0, "a weight") }
            let isGrowing = zip(options.weights, options.weights.dropFirst()).allSatisfy(<)
            if options.weights.isEmpty || options.weights.count > 20 {
                report(node, "there are 1 to 20 weights", "write [5, 25, 50]; 100 follows by itself")
            } else if !isGrowing {
                report(node, "weights grow from one to the next", "write [5, 25, 50]")
            }
        }
        if let node = fields["every"], let hold = hold(node, "every") { options.hold = hold }
        if let node = fields["pin"] { options.pin = bool(node, "pin") ?? false }
        if let node = fields["abort_if"] { options.abortIf = abortRules(node) }
        return .canary(options)
    }

    private func hold(_ node: Node, _ what: String) -> RolloutStrategy.Hold? {
        if case .scalar(let scalar) = node, scalar.string == "manual" { return .manual }
        return duration(node, what, 0.5...604_800).map { .seconds($0) }
    }

    /// In thousandths.
    private func percent(_ node: Node, _ what: String) -> Int? {
        guard let text = text(node, what) else { return nil }
        let digits = text.hasSuffix("%") ? String(text.dropLast()) : text
        guard let number = Double(digits), (0.1...99.9).contains(number) else {
            report(node, "\(what) is a share of the requests from 0.1 to 99.9 percent, this is '\(text.prefix(40))'", "write 5, or 0.5")
            return nil
        }
        return Int((number * 10).rounded())
    }

    private func abortRules(_ node: Node) -> AbortRules? {
        guard let fields = fields(node, .abortIf) else { return nil }
        var rules = AbortRules()
        if let node = fields["error_rate"], let limit = limit(node, "error_rate", example: "> base + 1%") {
            if case .plus(let more) = limit {
                rules.errorRate = more
            } else {
                report(node, "error_rate is compared by a difference", "write \"> base + 1%\"")
            }
        }
        if let node = fields["p99"] { rules.p99 = limit(node, "p99", example: "> base * 1.5") }
        if let node = fields["p50"] { rules.p50 = limit(node, "p50", example: "> base + 50ms") }
        if let node = fields["minimum"] { rules.minimum = integer(node, "minimum", 10...1_000_000) ?? rules.minimum }
        if let node = fields["query"], let query = text(node, "query") {
            if (1...2000).contains(query.utf8.count), query.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) {
                rules.query = query
            } else {
                report(node, "a query has 1 to 2000 characters in one line", "write query: 'rate(errors_total{instance=~\"$new\"}[1m]) > 1'")
            }
        }
        if ["error_rate", "p99", "p50", "query"].allSatisfy({ fields[$0] == nil }) {
            report(node, "abort_if compares nothing", "write error_rate: \"> base + 1%\"")
        }
        return rules
    }

    /// `> base + 1%`, `> base + 50ms`, `> base * 1.5`.
    private func limit(_ node: Node, _ what: String, example: String) -> AbortRules.Limit? {
        guard let text = text(node, what) else { return nil }
        let words = text.split(separator: " ").map(String.init)
        if words.count == 4, words[0] == ">", words[1] == "base" {
            let value = words[3]
            switch words[2] {
            case "*":
                if let factor = Double(value), factor > 1, factor <= 100 { return .times(factor) }
            case "+":
                if value.hasSuffix("%"), what == "error_rate", let points = Double(value.dropLast()), (0.01...100).contains(points) {
                    return .plus(points / 100)
                }
                if what != "error_rate", let seconds = Quantity.duration(value), seconds > 0 { return .plus(seconds) }
            default: break
            }
        }
        report(node, "'\(text.prefix(60))' is not a comparison with the version that serves", "write \"\(example)\"")
        return nil
    }
}
