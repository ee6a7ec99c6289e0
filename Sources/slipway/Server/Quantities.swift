/// Sizes and durations as people write them in settings and options.
enum Quantities {
    /// `500`, `10MiB`, `1.5GB`: bytes. Nil for anything else.
    static func bytes(_ text: String) -> Int64? {
        let units: [String: Double] = [
            "": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1024, "mib": 1_048_576, "gib": 1_073_741_824,
            "tib": 1_099_511_627_776, "k": 1024, "m": 1_048_576, "g": 1_073_741_824, "t": 1_099_511_627_776,
        ]
        return amount(text, units).flatMap { $0 < 9e18 ? Int64($0) : nil }
    }

    /// `90s`, `15m`, `24h`, `30d`, `2w`; several together, as in `1d12h`. Nil for anything else.
    static func duration(_ text: String) -> Duration? {
        let units: [String: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        var seconds = 0.0
        var rest = text[...]
        while !rest.isEmpty {
            let end = rest.firstIndex { $0.isLetter }.map { rest.index(after: $0) } ?? rest.endIndex
            guard let part = amount(String(rest[..<end]), units) else { return nil }
            seconds += part
            rest = rest[end...]
        }
        return text.isEmpty || seconds > 3e9 ? nil : .seconds(seconds)
    }

    private static func amount(_ text: String, _ units: [String: Double]) -> Double? {
        let digits = text.prefix { $0.isNumber || $0 == "." }
        let unit = text[digits.endIndex...].drop { $0 == " " }.lowercased()
        guard let number = Double(digits), number >= 0, number.isFinite, let factor = units[unit] else { return nil }
        return number * factor
    }
}
