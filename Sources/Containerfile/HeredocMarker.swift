/// `<<NAME` in an instruction: where a heredoc begins.
struct HeredocMarker {
    /// Without quotes.
    let name: String
    /// `<<-`: tabs at the beginning of lines are taken away.
    let stripsTabs: Bool
    /// A part of the name is quoted: variables are not expanded.
    let isQuoted: Bool
    /// A part of the name is escaped.
    let isEscaped: Bool
    /// Digits before `<<`.
    let hasDescriptor: Bool
    /// The marker as written.
    let place: Fragment

    /// More documents than any instruction needs.
    static let maximum = 64

    /// The markers of an instruction, in order. Quotes and `$((…))` hide them; a word must begin with one.
    static func find(in fragment: Fragment) throws(Mistake) -> [HeredocMarker] {
        var markers: [HeredocMarker] = []
        var scan = Scan(scalars: fragment.scalars)
        while let word = scan.nextWord() {
            guard let marker = Self(fragment[word]) else { continue }
            markers.append(marker)
            guard markers.count <= maximum else {
                throw fragment.error(
                    .tooLarge, at: word.lowerBound, "an instruction has at most \(maximum) heredocs")
            }
        }
        return markers
    }

    /// Reads a word as a marker; nil when it is none: `[digits]<<[-]name`.
    init?(_ word: Fragment) {
        let scalars = word.scalars
        var index = 0
        while index < scalars.count, scalars[index] >= "0", scalars[index] <= "9" { index += 1 }
        hasDescriptor = index > 0
        guard scalars.count >= index + 2, scalars[index] == "<", scalars[index + 1] == "<" else { return nil }
        index += 2
        stripsTabs = index < scalars.count && scalars[index] == "-"
        if stripsTabs { index += 1 }
        while index < scalars.count, scalars[index].isBlank { index += 1 }
        var name = String.UnicodeScalarView()
        var isQuoted = false, isEscaped = false
        var quote: Unicode.Scalar?
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            if scalar == quote {
                quote = nil
            } else if quote == nil, scalar == "'" || scalar == "\"" {
                quote = scalar
                isQuoted = true
            } else if scalar == "\\", quote != "'" {
                isEscaped = true
                guard index < scalars.count else { break }
                name.append(scalars[index])
                index += 1
            } else {
                // `<<<` is no heredoc, and two words are none.
                guard scalar != "<", quote != nil || !scalar.isBlank else { return nil }
                name.append(scalar)
            }
        }
        guard quote == nil, !name.isEmpty else { return nil }
        self.name = String(name)
        self.isQuoted = isQuoted
        self.isEscaped = isEscaped
        place = word
    }

    /// Removes the tabs at the beginning of every line.
    static func withoutTabs(_ content: String) -> String {
        var result = String.UnicodeScalarView()
        var isStart = true
        for scalar in content.unicodeScalars {
            if isStart, scalar == "\t" { continue }
            result.append(scalar)
            isStart = scalar == "\n"
        }
        return String(result)
    }

    /// Cuts a command into words as far as markers need it.
    private struct Scan {
        let scalars: [Unicode.Scalar]
        var index = 0
        /// A bracket was not closed: looking for more would take quadratic time.
        private var isUnbalanced = false

        init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

        mutating func nextWord() -> Range<Int>? {
            while index < scalars.count, scalars[index].isBlank { index += 1 }
            guard index < scalars.count else { return nil }
            let start = index
            while index < scalars.count, !scalars[index].isBlank {
                switch scalars[index] {
                case "\\": index += 2
                case "'": skip(to: "'", escapes: false)
                case "\"": skip(to: "\"", escapes: true)
                case "$": skipDollar()
                case "<" where index + 1 < scalars.count && scalars[index + 1] == "<":
                    index += 2
                    // White space may stand between << and the name.
                    while index < scalars.count, scalars[index].isBlank { index += 1 }
                default: index += 1
                }
                index = min(index, scalars.count)
            }
            return start..<index
        }

        private mutating func skip(to end: Unicode.Scalar, escapes: Bool) {
            index += 1
            while index < scalars.count, scalars[index] != end {
                index += escapes && scalars[index] == "\\" ? 2 : 1
            }
            index += 1
        }

        /// `${…}` and `$((…))` are passed over: a `<<` inside is a shift or text.
        private mutating func skipDollar() {
            let start = index
            index += 1
            guard index < scalars.count, !isUnbalanced else { return }
            let isArithmetic = index + 1 < scalars.count && scalars[index] == "(" && scalars[index + 1] == "("
            guard scalars[index] == "{" || isArithmetic else { return }
            let open = scalars[index], close: Unicode.Scalar = isArithmetic ? ")" : "}"
            var depth = 0
            while index < scalars.count {
                if scalars[index] == open { depth += 1 }
                if scalars[index] == close {
                    depth -= 1
                    if depth == 0 {
                        index += 1
                        return
                    }
                }
                index += 1
            }
            isUnbalanced = true
            index = start + 1
        }
    }
}
