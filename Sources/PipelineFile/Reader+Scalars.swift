internal import OCIModel
internal import Yams

extension Reader {
    /// Text exactly as written: `1.20`, `yes` and `0755` stay these characters.
    func text(_ node: Node, _ what: String, allowEmpty: Bool = false) -> String? {
        guard case .scalar(let scalar) = node, !isNull(node) else {
            let hint =
                isNull(node)
                ? (allowEmpty ? "write \"\" for empty text" : "write a value")
                : "quote it; YAML reads ': ' and a leading [ or { as structure"
            report(node, "\(what) is text, this is \(describe(node))", hint)
            return nil
        }
        let text = scalar.string
        if text.isEmpty, !allowEmpty {
            report(node, "\(what) is empty")
            return nil
        }
        if text.unicodeScalars.contains("\0") {
            report(node, "\(what) contains a NUL character", "remove \\0")
            return nil
        }
        if text.contains("${{") {
            report(node, "'${{ … }}' is not supported yet in this version (\(what))", "write the value out")
            return nil
        }
        return text
    }

    /// A list of texts, or one text when `single` is allowed.
    func texts(_ node: Node, _ what: String, single: Bool, allowEmpty: Bool = false) -> [String]? {
        if single, case .scalar = node { return text(node, what).map { [$0] } }
        guard let items = list(node, what) else { return nil }
        let texts = items.compactMap { text($0, "an entry of \(what)", allowEmpty: allowEmpty) }
        return texts.count == items.count ? texts : nil
    }

    func bool(_ node: Node, _ what: String) -> Bool? {
        if case .scalar(let scalar) = node, scalar.style == .plain {
            if scalar.string == "true" { return true }
            if scalar.string == "false" { return false }
        }
        report(node, "\(what) is true or false", "write true or false, without quotes")
        return nil
    }

    func integer(_ node: Node, _ what: String, _ range: ClosedRange<Int>) -> Int? {
        let rangeText = "\(range.lowerBound) to \(range.upperBound)"
        guard case .scalar(let scalar) = node, !isNull(node) else {
            report(node, "\(what) is a whole number from \(rangeText), this is \(describe(node))")
            return nil
        }
        let digits = scalar.string.hasPrefix("-") ? scalar.string.dropFirst() : Substring(scalar.string)
        let isDecimal =
            !digits.isEmpty && digits.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
            && (digits.utf8.count == 1 || digits.utf8.first != 0x30)
        guard isDecimal else {
            report(
                node, "\(what) is a whole number, this is '\(scalar.string.prefix(40))'",
                "write a decimal number from \(rangeText)")
            return nil
        }
        guard scalar.style == .plain else {
            report(node, "\(what) is a number, this is text", "remove the quotes")
            return nil
        }
        guard let number = Int(scalar.string), range.contains(number) else {
            report(node, "\(what) is out of range: \(scalar.string.prefix(40))", "it is a number from \(rangeText)")
            return nil
        }
        return number
    }

    /// Seconds.
    func duration(_ node: Node, _ what: String, _ range: ClosedRange<Double>) -> Double? {
        guard let text = text(node, what) else { return nil }
        guard let seconds = Quantity.duration(text) else {
            let isNumber = Int(text) != nil
            report(
                node, "\(what) is a duration, this is '\(text.prefix(40))'",
                isNumber ? "add a unit: \(text.prefix(20))s, or \(text.prefix(20))m" : "write 500ms, 30s, 10m, 1h30m or 2d")
            return nil
        }
        guard range.contains(seconds) else {
            report(
                node, "\(what) is out of range: \(text.prefix(40))",
                "it is from \(Quantity.describe(range.lowerBound)) to \(Quantity.describe(range.upperBound))")
            return nil
        }
        return seconds
    }

    /// Bytes.
    func size(_ node: Node, _ what: String, minimum: Int64) -> Int64? {
        guard let text = text(node, what) else { return nil }
        guard let bytes = Quantity.size(text) else {
            report(node, "\(what) is a size, this is '\(text.prefix(40))'", Quantity.sizeAdvice(text))
            return nil
        }
        guard bytes >= minimum else {
            report(node, "\(what) is too small: \(text.prefix(40))", "at least \(minimum >> 20)MiB")
            return nil
        }
        return bytes
    }

    func cpus(_ node: Node, _ what: String) -> Double? {
        guard let text = text(node, what) else { return nil }
        guard let cpus = Quantity.decimal(text), cpus >= 0.01, cpus <= 1024 else {
            report(
                node, "\(what) is a number of processors, this is '\(text.prefix(40))'",
                "write 0.5 for half of one, 2 for two; from 0.01 to 1024")
            return nil
        }
        return cpus
    }

    /// A reference that OCIModel accepts.
    func imageReference(_ node: Node, _ what: String, allowDigest: Bool) -> String? {
        guard let text = text(node, what) else { return nil }
        do {
            let reference = try ImageReference(parsing: text)
            if reference.digest != nil, !allowDigest {
                report(node, "\(what) has a digest", "the digest is what the build finds out; name the repository only")
                return nil
            }
            return text
        } catch {
            report(node, error.message, error.hint)
            return nil
        }
    }

    /// A step or stage name: `[a-z0-9-]`, at most 63.
    func name(_ node: Node, _ what: String) -> String? {
        guard let text = text(node, what) else { return nil }
        guard Names.isLabel(text) else {
            let fixed = Names.label(from: text)
            report(
                node, "'\(text.prefix(80))' is not a \(what)",
                "use a-z, 0-9 and '-', at most 63, not beginning or ending with '-'"
                    + (Names.isLabel(fixed) ? ": \(fixed)" : ""))
            return nil
        }
        return text
    }
}
