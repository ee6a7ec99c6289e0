/// The exec form: a JSON array of strings (RFC 8259), with the place of each string.
enum JSONArray {
    enum Outcome {
        case strings([(text: String, offset: Int)])
        /// JSON, but with something else than strings in it, there.
        case notStrings(offset: Int)
        /// Not a JSON array.
        case none
    }

    static func parse(_ scalars: [Unicode.Scalar]) -> Outcome {
        guard scalars.first == "[" else { return .none }
        var scanner = Scanner(scalars: scalars)
        guard let outcome = scanner.array() else { return .none }
        scanner.skipSpace()
        return scanner.index == scalars.count ? outcome : .none
    }

    private struct Scanner {
        static let maximumDepth = 64

        let scalars: [Unicode.Scalar]
        var index = 0
        var depth = 0

        var next: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

        mutating func skipSpace() {
            while let scalar = next, " \t\r\n".unicodeScalars.contains(scalar) { index += 1 }
        }

        mutating func take(_ scalar: Unicode.Scalar) -> Bool {
            guard next == scalar else { return false }
            index += 1
            return true
        }

        /// nil: not JSON.
        mutating func array() -> Outcome? {
            guard take("[") else { return nil }
            var strings: [(text: String, offset: Int)] = []
            var other: Int?
            skipSpace()
            if take("]") { return .strings([]) }
            while true {
                skipSpace()
                let start = index
                if next == "\"" {
                    guard let text = string() else { return nil }
                    strings.append((text, start))
                } else {
                    guard value() else { return nil }
                    other = other ?? start
                }
                skipSpace()
                if take("]") { return other.map { .notStrings(offset: $0) } ?? .strings(strings) }
                guard take(",") else { return nil }
            }
        }

        mutating func object() -> Bool {
            guard take("{") else { return false }
            skipSpace()
            if take("}") { return true }
            while true {
                skipSpace()
                guard string() != nil else { return false }
                skipSpace()
                guard take(":") else { return false }
                skipSpace()
                guard value() else { return false }
                skipSpace()
                if take("}") { return true }
                guard take(",") else { return false }
            }
        }

        mutating func value() -> Bool {
            switch next {
            case "\"": return string() != nil
            case "[", "{":
                depth += 1
                defer { depth -= 1 }
                guard depth < Self.maximumDepth else { return false }
                return next == "[" ? array() != nil : object()
            case "t": return word("true")
            case "f": return word("false")
            case "n": return word("null")
            default: return number()
            }
        }

        mutating func word(_ word: String) -> Bool { word.unicodeScalars.allSatisfy { take($0) } }

        mutating func digits() -> Bool {
            let start = index
            while let scalar = next, scalar >= "0", scalar <= "9" { index += 1 }
            return index > start
        }

        mutating func number() -> Bool {
            _ = take("-")
            if !take("0") { guard digits() else { return false } }
            if take(".") { guard digits() else { return false } }
            if take("e") || take("E") {
                _ = take("+") || take("-")
                guard digits() else { return false }
            }
            return true
        }

        mutating func string() -> String? {
            guard take("\"") else { return nil }
            var text = String.UnicodeScalarView()
            while let scalar = next {
                index += 1
                switch scalar {
                case "\"": return String(text)
                case "\\":
                    guard let escaped = escape() else { return nil }
                    text.append(escaped)
                case "\u{0}"..<" ": return nil
                default: text.append(scalar)
                }
            }
            return nil
        }

        private mutating func escape() -> Unicode.Scalar? {
            guard let scalar = next else { return nil }
            index += 1
            switch scalar {
            case "\"", "\\", "/": return scalar
            case "b": return "\u{08}"
            case "f": return "\u{0C}"
            case "n": return "\n"
            case "r": return "\r"
            case "t": return "\t"
            case "u":
                guard let unit = hex() else { return nil }
                guard unit >= 0xD800, unit < 0xE000 else { return Unicode.Scalar(unit) }
                // A pair of surrogates is one character; half a pair is none.
                let start = index
                if unit < 0xDC00, take("\\"), take("u"), let low = hex(), low >= 0xDC00, low < 0xE000 {
                    return Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
                }
                index = start
                return "\u{FFFD}"
            default: return nil
            }
        }

        private mutating func hex() -> UInt32? {
            guard index + 4 <= scalars.count else { return nil }
            let digits = scalars[index..<index + 4]
            guard digits.allSatisfy({ $0.properties.isASCIIHexDigit }) else { return nil }
            index += 4
            return UInt32(String(String.UnicodeScalarView(digits)), radix: 16)
        }
    }
}
