import Glibc

/// A judge's reasons for people.
struct JudgeWords {
    let rules: AbortRules
    let certainty: Double

    func worse(_ measure: JudgeSample.Measure, _ canary: VersionTraffic, _ base: VersionTraffic) -> String {
        "\(facts(measure, canary, base)): \(difference(measure.rule)) with \(Self.percent(certainty)) certainty"
    }

    func facts(_ measure: JudgeSample.Measure, _ canary: VersionTraffic, _ base: VersionTraffic) -> String {
        switch measure.rule {
        case .errorRate:
            "\(Self.percent(measure.canary)) of \(Self.count(canary.requests)) requests failed, "
                + "\(Self.percent(measure.base)) of the base's \(Self.count(base.requests))"
        case .p50: "half of the requests took up to \(Self.time(measure.canary)), of the base's up to \(Self.time(measure.base))"
        case .p99: "99 of 100 requests took up to \(Self.time(measure.canary)), of the base's up to \(Self.time(measure.base))"
        }
    }

    private func difference(_ rule: JudgeSample.Rule) -> String {
        let limit: AbortRules.Limit?
        switch rule {
        case .errorRate: return "worse by more than \(Self.percent(rules.errorRate))"
        case .p50: limit = rules.p50
        case .p99: limit = rules.p99
        }
        return switch limit {
        case .times(let factor): "more than \(Self.decimal(factor, digits: 2)) times the base's"
        case .plus(let seconds): "longer by more than \(Self.time(seconds))"
        case nil: "longer"
        }
    }

    /// `4,960`
    static func count(_ number: Int) -> String {
        var digits = String(number.magnitude)
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return (number < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
    }

    /// `5.2 %`
    static func percent(_ share: Double?) -> String {
        guard let share, share.isFinite else { return "none" }
        // A thousandth of a percent matters near nothing and near everything.
        let digits = share > 0 && share < 0.001 || share > 0.999 && share < 1 ? 3 : 1
        return "\(decimal(share * 100, digits: digits)) %"
    }

    /// `412 ms`, `1.24 s`
    static func time(_ seconds: Double?) -> String {
        guard let seconds, seconds.isFinite else { return "no time" }
        return seconds < 1 ? "\(decimal(seconds * 1000, digits: 0)) ms" : "\(decimal(seconds, digits: 2)) s"
    }

    /// Without zeros at the end.
    static func decimal(_ number: Double, digits: Int) -> String {
        let scale = pow(10, Double(digits))
        let scaled = (number * scale).rounded()
        guard abs(scaled) < 1e15 else { return "\(number)" }
        let whole = Int(abs(scaled) / scale)
        var rest = String(Int(abs(scaled)) % Int(scale))
        rest = digits == 0 ? "" : String(repeating: "0", count: digits - rest.count) + rest
        while rest.last == "0" { rest.removeLast() }
        return (scaled < 0 ? "-" : "") + "\(whole)" + (rest.isEmpty ? "" : ".\(rest)")
    }
}
