/// Durations, sizes and numbers as people write them. nil means: not written that way.
enum Quantity {
    private static let units: [(name: String, seconds: Double)] = [
        ("d", 86400), ("h", 3600), ("m", 60), ("s", 1), ("ms", 0.001),
    ]

    /// `1h30m`, `500ms`: whole numbers with units, biggest first, each unit at most once. Seconds.
    static func duration(_ text: String) -> Double? {
        var rest = Substring(text)
        var total = 0.0
        var nextUnit = 0
        guard !rest.isEmpty, text.utf8.count <= 40 else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard !digits.isEmpty, digits.utf8.count <= 9, let number = Double(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let index = units.firstIndex(where: { $0.name == unit }), index >= nextUnit else { return nil }
            nextUnit = index + 1
            total += number * units[index].seconds
        }
        return total
    }

    static func describe(_ seconds: Double) -> String {
        for unit in units where seconds >= unit.seconds && seconds.truncatingRemainder(dividingBy: unit.seconds) == 0 {
            return "\(Int64(seconds / unit.seconds))\(unit.name)"
        }
        return seconds == 0 ? "0s" : "\(Int64((seconds * 1000).rounded()))ms"
    }

    private static let sizes: [String: Int64] = [
        "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
        "kB": 1000, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
    ]

    /// `128MiB`, `1GB`: a whole number with a unit. Bytes.
    static func size(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty, let number = Int64(digits), let unit = sizes[String(text.dropFirst(digits.count))]
        else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow ? nil : bytes
    }

    static func sizeAdvice(_ text: String) -> String {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        let meant = [
            "": "MiB", "k": "KiB", "m": "MiB", "g": "GiB", "ki": "KiB", "mi": "MiB", "gi": "GiB", "mb": "MB", "gb": "GB", "mib": "MiB",
            "gib": "GiB", "kib": "KiB",
        ][unit]
        guard !digits.isEmpty, digits.utf8.count <= 18, let meant else { return "write 128MiB, 1GiB, 500MB or 1GB" }
        return "did you mean \(digits)\(meant)?"
    }

    /// `0.5`, `2`: digits with at most one point.
    static func decimal(_ text: String) -> Double? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, text.utf8.count <= 20,
            parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isASCII && $0.isNumber } })
        else { return nil }
        return Double(text)
    }

    /// Permission bits in octal, `0755` or `755`.
    static func mode(_ text: String) -> UInt16? {
        let isOctal = text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x37 }
        guard isOctal, (3...4).contains(text.utf8.count), let mode = UInt16(text, radix: 8), mode <= 0o7777 else {
            return nil
        }
        return mode
    }
}
