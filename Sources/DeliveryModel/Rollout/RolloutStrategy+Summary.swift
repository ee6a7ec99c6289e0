extension RolloutStrategy {
    /// All of it in one line for people.
    public var summary: String {
        var parts: [String] = []
        switch self {
        case .blueGreen(let set):
            if let preview = set.preview { parts.append("preview at \(preview)") }
            switch set.pause {
            case .seconds(let seconds): parts.append("switch after \(JudgeWords.time(seconds))")
            case .manual: parts.append("switch when somebody says so")
            case nil: break
            }
        case .rolling(let rolling):
            parts.append("at most \(rolling.maxSurge) more and \(rolling.maxUnavailable) fewer")
            if rolling.ready > 0 { parts.append("ready for \(JudgeWords.time(rolling.ready))") }
        case .canary(let canary):
            parts.append(canary.weights.map { JudgeWords.percent(Double($0) / 1000) }.joined(separator: " → "))
            switch canary.hold {
            case .seconds(let seconds): parts.append("each for \(JudgeWords.time(seconds))")
            case .manual: parts.append("each until somebody says so")
            }
            if let rules = canary.abortIf { parts.append("back if \(rules.summary)") }
            if canary.pin { parts.append("clients may choose") }
        }
        return ([name] + parts).joined(separator: ", ")
    }
}

extension AbortRules {
    fileprivate var summary: String {
        var parts: [String] = []
        if let errorRate { parts.append("failures > base + \(JudgeWords.percent(errorRate))") }
        for (name, limit) in [("p50", p50), ("p99", p99)] {
            switch limit {
            case .times(let factor): parts.append("\(name) > base × \(JudgeWords.decimal(factor, digits: 2))")
            case .plus(let seconds): parts.append("\(name) > base + \(JudgeWords.time(seconds))")
            case nil: break
            }
        }
        var text = parts.isEmpty ? "" : "\(parts.joined(separator: " or ")) after \(minimum) requests"
        if let query { text += (text.isEmpty ? "" : ", or ") + query }
        return text
    }
}
