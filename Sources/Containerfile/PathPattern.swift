/// The pattern of a COPY or ADD source: each component as Go's filepath.Match reads it (`*`, `?`, `[a-z]`, `\`).
public struct PathPattern: Sendable, Hashable {
    /// One component of the path.
    public struct Component: Sendable, Hashable {
        /// The name, when no other one matches.
        public let literal: String?
        private let pattern: IgnorePattern?

        init(_ text: Substring) throws(InvalidValue) {
            var name = String.UnicodeScalarView()
            var isEscaped = false, isPattern = false
            for scalar in text.unicodeScalars {
                if !isEscaped, scalar == "\\" {
                    isEscaped = true
                    continue
                }
                if !isEscaped, "*?[".unicodeScalars.contains(scalar) { isPattern = true }
                name.append(scalar)
                isEscaped = false
            }
            guard !isEscaped else {
                throw InvalidValue("a backslash stands at the end of \(SourceText.quoted(text))", hint: "write \\\\ for a backslash")
            }
            literal = isPattern ? nil : String(name)
            pattern = isPattern ? try IgnorePattern(component: text) : nil
        }

        public func matches(_ name: some StringProtocol) -> Bool {
            guard let pattern else { return literal.map { $0 == name } ?? false }
            var states = pattern.start
            for scalar in name.unicodeScalars {
                pattern.advance(&states, over: scalar)
                if states.isEmpty { return false }
            }
            return pattern.isComplete(states)
        }
    }

    /// Relative to the root of the origin, without `.`; `..` never leaves the root.
    public let components: [Component]

    /// Whether every component is a name.
    public var isLiteral: Bool { components.allSatisfy { $0.literal != nil } }

    /// Reads an expanded source. A leading '/' and a trailing one mean nothing.
    public init(parsing text: String) throws(InvalidValue) {
        var components: [Component] = []
        for part in text.split(separator: "/") where part != "." {
            if part == ".." { _ = components.popLast() } else { components.append(try Component(part)) }
        }
        self.components = components
    }

    /// Whether the path, relative to the root, is one the pattern names.
    public func matches(_ path: String) -> Bool {
        let names = path.split(separator: "/")
        return names.count == components.count && zip(components, names).allSatisfy { $0.matches($1) }
    }
}
