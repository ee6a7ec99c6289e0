/// Durations as Go writes them: `1h30m`, `1.5s`, `300ms`, `0`. No sign: nothing here may be negative.
enum DurationText {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("ns", 1), ("us", 1_000), ("µs", 1_000), ("μs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// nil: not a duration, or more than 292 years.
    static func parse(_ text: String) -> Duration? {
        guard text != "0" else { return .zero }
        var rest = Substring(text)
        var total: Int64 = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let whole = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(whole.count)
            var fraction: Substring = ""
            if rest.first == "." {
                rest = rest.dropFirst()
                fraction = rest.prefix { $0.isASCII && $0.isNumber }
                rest = rest.dropFirst(fraction.count)
            }
            guard !whole.isEmpty || !fraction.isEmpty else { return nil }
            let name = rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." }
            rest = rest.dropFirst(name.count)
            guard let unit = units.first(where: { $0.name == name })?.nanoseconds,
                let count = whole.isEmpty ? 0 : Int64(whole)
            else { return nil }
            let (product, overflows) = count.multipliedReportingOverflow(by: unit)
            // Nine digits are as fine as nanoseconds of any unit that has a fraction in practice.
            let digits = fraction.prefix(9)
            let part = (Double(digits.isEmpty ? "0" : "0.\(digits)") ?? 0) * Double(unit)
            let (sum, sumOverflows) = product.addingReportingOverflow(Int64(part.rounded()))
            let (grown, totalOverflows) = total.addingReportingOverflow(sum)
            guard !overflows, !sumOverflows, !totalOverflows else { return nil }
            total = grown
        }
        return .nanoseconds(total)
    }
}
