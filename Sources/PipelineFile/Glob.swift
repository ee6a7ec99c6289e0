/// A glob pattern: `*` any characters but '/', `?` one character but '/', `**` any characters;
/// `**/` also matches no folder at all. Everything else is itself; there are no classes and no escapes.
///
/// All possibilities advance side by side: time is at most pattern length × text length, whatever the pattern.
public struct Glob: Sendable, Hashable {
    private enum Part: Sendable, Hashable {
        case literal(Unicode.Scalar)
        case one
        /// `*`
        case many
        /// `**`
        case any
        /// `**/` is two parts: the first may be left out together with the second…
        case optionalFolders
        /// …and the second is anything that ends with '/'.
        case folders
    }

    private let parts: [Part]

    public init(_ pattern: String) {
        let scalars = Array(pattern.unicodeScalars)
        var parts: [Part] = []
        var index = 0
        while index < scalars.count {
            guard scalars[index] == "*" else {
                parts.append(scalars[index] == "?" ? .one : .literal(scalars[index]))
                index += 1
                continue
            }
            var end = index
            while end < scalars.count, scalars[end] == "*" { end += 1 }
            if end - index == 1 {
                parts.append(.many)
            } else if end < scalars.count, scalars[end] == "/", index == 0 || scalars[index - 1] == "/" {
                parts += [.optionalFolders, .folders]
                end += 1
            } else {
                parts.append(.any)
            }
            index = end
        }
        self.parts = parts
    }

    public func matches(_ text: String) -> Bool {
        // states[i]: the text so far can be matched by the first i parts.
        var states = [Bool](repeating: false, count: parts.count + 1)
        states[0] = true
        addWithoutText(&states)
        for scalar in text.unicodeScalars {
            var next = [Bool](repeating: false, count: parts.count + 1)
            for index in parts.indices where states[index] {
                switch parts[index] {
                case .literal(let wanted): if scalar == wanted { next[index + 1] = true }
                case .one: if scalar != "/" { next[index + 1] = true }
                case .many: if scalar != "/" { next[index] = true }
                case .any: next[index] = true
                case .optionalFolders: break
                case .folders:
                    next[index] = true
                    if scalar == "/" { next[index + 1] = true }
                }
            }
            guard next.contains(true) else { return false }
            addWithoutText(&next)
            states = next
        }
        return states[parts.count]
    }

    /// Adds the states reachable without reading a character; these only lead forward, so one pass does.
    private func addWithoutText(_ states: inout [Bool]) {
        for index in parts.indices where states[index] {
            switch parts[index] {
            case .many, .any: states[index + 1] = true
            case .optionalFolders:
                states[index + 1] = true
                states[index + 2] = true
            case .literal, .one, .folders: break
            }
        }
    }
}
