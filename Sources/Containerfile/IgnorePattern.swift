/// One pattern of an ignore file, matched character by character, all possibilities side by side.
struct IgnorePattern: Sendable, Hashable {
    /// The indices of the parts that may come next, ascending; the number of parts means complete.
    typealias States = [Int32]

    private enum Part: Sendable, Hashable {
        case literal(Unicode.Scalar)
        /// `?`
        case one
        /// `*`
        case many
        /// Anything, '/' too.
        case any
        /// What `**/` begins with: it may be left out with the next part…
        case optionalFolders
        /// …which is anything that ends with '/'.
        case folders
        case oneOf([ClosedRange<Unicode.Scalar>], isNegated: Bool)
    }

    static let maximumLength = 4096

    let isException: Bool
    private let parts: [Part]

    /// nil: a pattern that takes nothing (the root itself).
    init?(parsing text: String) throws(InvalidValue) {
        var rest = text.drop { $0.isWhitespace }
        guard text.unicodeScalars.count <= Self.maximumLength else {
            throw InvalidValue("the pattern is longer than \(Self.maximumLength) characters", hint: "use several patterns")
        }
        isException = rest.first == "!"
        if isException { rest = rest.dropFirst().drop { $0.isWhitespace } }
        guard !rest.isEmpty else {
            throw InvalidValue("'!' stands alone", hint: "write the pattern of the exception behind it")
        }
        let cleaned = Self.cleaned(rest)
        guard cleaned != ".", cleaned != "/" else { return nil }
        parts = try Self.parts(of: Array((cleaned.hasPrefix("/") ? cleaned.dropFirst() : cleaned[...]).unicodeScalars))
    }

    /// One component of a path, where `**` is `*`.
    init(component text: Substring) throws(InvalidValue) {
        guard text.unicodeScalars.count <= Self.maximumLength else {
            throw InvalidValue("the pattern is longer than \(Self.maximumLength) characters", hint: "use several patterns")
        }
        isException = false
        var scalars: [Unicode.Scalar] = []
        for scalar in text.unicodeScalars where scalar != "*" || scalars.last != "*" { scalars.append(scalar) }
        parts = try Self.parts(of: scalars)
    }

    /// Without empty and `.` components, `a/..` taken out, no '/' at the end.
    private static func cleaned(_ path: Substring) -> String {
        var components: [Substring] = []
        let isAbsolute = path.hasPrefix("/")
        for component in path.split(separator: "/") where component != "." {
            if component == "..", let last = components.last, last != ".." {
                components.removeLast()
            } else if component != ".." || !isAbsolute {
                components.append(component)
            }
        }
        if components.isEmpty { return isAbsolute ? "/" : "." }
        return (isAbsolute ? "/" : "") + components.joined(separator: "/")
    }

    private static func parts(of scalars: [Unicode.Scalar]) throws(InvalidValue) -> [Part] {
        var parts: [Part] = []
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            switch scalar {
            case "*":
                guard index < scalars.count, scalars[index] == "*" else {
                    parts.append(.many)
                    continue
                }
                let isFirst = index == 1
                index += 1
                let hasSlash = index < scalars.count && scalars[index] == "/"
                if hasSlash { index += 1 }
                let isSuffix = isFirst && !hasSlash && !scalars[index...].contains { "*?[\\".unicodeScalars.contains($0) }
                if index == scalars.count || isSuffix {
                    parts.append(.any)
                } else {
                    parts += [.optionalFolders, .folders]
                }
            case "?": parts.append(.one)
            case "\\":
                guard index < scalars.count else {
                    throw InvalidValue("a backslash stands at the end of the pattern", hint: "write \\\\ for a backslash")
                }
                parts.append(.literal(scalars[index]))
                index += 1
            case "[": parts.append(try characterClass(scalars, &index))
            default: parts.append(.literal(scalar))
            }
        }
        return parts
    }

    /// `[a-z]`, `[^a-z]`; a backslash escapes.
    private static func characterClass(_ scalars: [Unicode.Scalar], _ index: inout Int) throws(InvalidValue) -> Part {
        let invalid = InvalidValue("a class in the pattern is not closed or empty", hint: "write it as in [a-z], or \\[ for the bracket")
        let isNegated = index < scalars.count && scalars[index] == "^"
        if isNegated { index += 1 }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        func take() throws(InvalidValue) -> Unicode.Scalar {
            if index < scalars.count, scalars[index] == "\\" { index += 1 }
            guard index < scalars.count else { throw invalid }
            index += 1
            return scalars[index - 1]
        }
        while true {
            guard index < scalars.count else { throw invalid }
            if scalars[index] == "]", !ranges.isEmpty {
                index += 1
                return .oneOf(ranges, isNegated: isNegated)
            }
            guard scalars[index] != "]", scalars[index] != "-" else { throw invalid }
            let low = try take()
            var high = low
            if index < scalars.count, scalars[index] == "-" {
                index += 1
                guard index < scalars.count, scalars[index] != "]" else { throw invalid }
                high = try take()
            }
            guard low <= high else { throw invalid }
            ranges.append(low...high)
        }
    }

    var start: States { closure([0]) }

    func isComplete(_ states: States) -> Bool { states.last == Int32(parts.count) }

    func advance(_ states: inout States, over scalar: Unicode.Scalar) {
        var next: States = []
        for state in states where state < parts.count {
            switch parts[Int(state)] {
            case .literal(let wanted): if wanted == scalar { next.append(state + 1) }
            case .one: if scalar != "/" { next.append(state + 1) }
            case .many: if scalar != "/" { next.append(state) }
            case .any: next.append(state)
            case .optionalFolders: break
            case .folders:
                next.append(state)
                if scalar == "/" { next.append(state + 1) }
            case .oneOf(let ranges, let isNegated):
                if scalar != "/", ranges.contains(where: { $0.contains(scalar) }) != isNegated { next.append(state + 1) }
            }
        }
        states = closure(next)
    }

    /// Adds the states that need no character. `states` ascends, perhaps with repetitions; the result has none.
    ///
    /// What one state adds stands directly behind it, so whatever is not above the last one is there already.
    private func closure(_ states: States) -> States {
        var all: States = []
        all.reserveCapacity(states.count)
        for state in states where all.last.map({ $0 < state }) ?? true {
            var index = all.count
            all.append(state)
            while index < all.count {
                let state = all[index], last = all[all.count - 1]
                index += 1
                guard state < parts.count else { continue }
                switch parts[Int(state)] {
                case .many, .any: if last < state + 1 { all.append(state + 1) }
                case .optionalFolders:
                    if last < state + 1 { all.append(state + 1) }
                    if last < state + 2 { all.append(state + 2) }
                case .literal, .one, .folders, .oneOf: break
                }
            }
        }
        return all
    }
}
