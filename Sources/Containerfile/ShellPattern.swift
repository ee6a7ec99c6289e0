/// The pattern of `${x#pattern}` and `${x/pattern/word}`: `*` any characters, `?` one, a backslash before `*`, `?`, `\`,
/// `/` and `}` makes them plain; there are no classes.
///
/// All possibilities advance side by side, and the work is counted: hostile patterns fail, they don't hang.
struct ShellPattern {
    enum Failure: Error {
        case escape(String)
        /// More than ``maximumWork`` steps.
        case work
    }

    static let maximumWork = 1 << 22

    private enum Part {
        case literal(Unicode.Scalar)
        case one
        case many
    }

    private let parts: [Part]

    init(_ text: String) throws(Failure) {
        if let wrong = Self.invalidEscape(in: text) { throw .escape(wrong) }
        var parts: [Part] = []
        var isEscaped = false
        for scalar in text.unicodeScalars {
            if isEscaped {
                parts.append(.literal(scalar))
                isEscaped = false
                continue
            }
            switch scalar {
            case "\\": isEscaped = true
            case "?": parts.append(.one)
            case "*":
                if case .many? = parts.last { continue }
                parts.append(.many)
            default: parts.append(.literal(scalar))
            }
        }
        self.parts = parts
    }

    /// The first escape that means nothing, as `\x`.
    static func invalidEscape(in text: String) -> String? {
        var isEscaped = false
        for scalar in text.unicodeScalars {
            if isEscaped {
                guard "*?\\/}".unicodeScalars.contains(scalar) else { return "\\\(scalar)" }
                isEscaped = false
            } else {
                isEscaped = scalar == "\\"
            }
        }
        return isEscaped ? "\\" : nil
    }

    func removingPrefix(of value: String, longest: Bool) throws(Failure) -> String {
        let scalars = Array(value.unicodeScalars)
        var work = 0
        guard let end = try Self.end(of: parts, in: scalars, from: 0, longest: longest, work: &work) else {
            return value
        }
        return Self.string(scalars[end...])
    }

    func removingSuffix(of value: String, longest: Bool) throws(Failure) -> String {
        let reversed = Array(value.unicodeScalars.reversed())
        var work = 0
        guard let end = try Self.end(of: parts.reversed(), in: reversed, from: 0, longest: longest, work: &work) else {
            return value
        }
        return Self.string(reversed[end...].reversed())
    }

    /// The first or all places that match, leftmost and longest, replaced. An empty pattern stands before the first character.
    ///
    /// - Returns: nil when the result gets more than `maximum` bytes.
    func replacing(
        in value: String, all: Bool, with replacement: String, maximum: Int
    ) throws(Failure) -> String? {
        let scalars = Array(value.unicodeScalars)
        var result = String.UnicodeScalarView()
        var work = 0, size = 0, index = 0
        var isDone = false
        while index <= scalars.count {
            if !isDone, let end = try Self.end(of: parts, in: scalars, from: index, longest: true, work: &work) {
                size += replacement.utf8.count
                guard size <= maximum else { return nil }
                result.append(contentsOf: replacement.unicodeScalars)
                isDone = !all || end == index
                if end > index {
                    index = end
                    if index == scalars.count { break }
                    continue
                }
            }
            if index < scalars.count { result.append(scalars[index]) }
            index += 1
        }
        return String(result)
    }

    /// Where a match that begins at `start` ends.
    private static func end(
        of parts: [Part], in scalars: [Unicode.Scalar], from start: Int, longest: Bool, work: inout Int
    ) throws(Failure) -> Int? {
        var states = closure([0], parts)
        var found: Int?
        var index = start
        while true {
            if states.last == parts.count {
                found = index
                if !longest { return found }
            }
            guard index < scalars.count, !states.isEmpty else { return found }
            work += states.count + 1
            guard work <= maximumWork else { throw .work }
            var following: [Int] = []
            for state in states where state < parts.count {
                switch parts[state] {
                case .literal(let wanted): if wanted == scalars[index] { following.append(state + 1) }
                case .one: following.append(state + 1)
                case .many: following.append(state)
                }
            }
            states = closure(following, parts)
            index += 1
        }
    }

    /// The states reachable without reading, in ascending order and each once; `states` ascends.
    private static func closure(_ states: [Int], _ parts: [Part]) -> [Int] {
        var all: [Int] = []
        for state in states {
            if all.last.map({ $0 < state }) ?? true { all.append(state) }
            // Stars never stand side by side, so one step is enough.
            if state < parts.count, case .many = parts[state] { all.append(state + 1) }
        }
        return all
    }

    private static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}
