/// The rules of a `.dockerignore` file, or of `COPY --exclude`: which paths of the build context are left out.
///
/// One pattern a line, relative to the root of the context: `*` and `?` within one folder, `**` across folders, classes,
/// escapes by backslash, `!` for exceptions, `#` at the beginning for comments. A pattern also takes what is below a folder
/// it matches. The last pattern that takes a path decides, so an exception can bring back one file of an excluded folder.
public struct IgnoreRules: Sendable, Hashable {
    static let maximumSize = 1 << 20
    static let maximumPatterns = 10_000

    let patterns: [IgnorePattern]

    /// No rules: nothing is left out.
    public init() { patterns = [] }

    public var isEmpty: Bool { patterns.isEmpty }

    /// Reads the text of a file.
    ///
    /// - Throws: ``ContainerfileError`` with every mistake.
    public init(parsing bytes: some Collection<UInt8>, file: String) throws(ContainerfileError) {
        let (text, lines) = try PhysicalLine.lines(of: bytes, file: file, maximumSize: Self.maximumSize)
        var patterns: [IgnorePattern] = []
        var mistakes: [Diagnostic] = []
        for (index, line) in lines.enumerated() where line.scalars.first != "#" {
            let content = Fragment(String(String.UnicodeScalarView(line.content)), at: (index + 1, 1), text: text).trimmed
            guard !content.scalars.isEmpty else { continue }
            do {
                if let pattern = try IgnorePattern(parsing: content.string) { patterns.append(pattern) }
            } catch {
                mistakes.append(
                    content.error(.invalid, at: 0, error.message, suggestion: error.hint).diagnostic)
            }
            guard mistakes.count < 50 else { break }
        }
        guard mistakes.isEmpty else { throw ContainerfileError(code: .invalid, diagnostics: mistakes) }
        guard patterns.count <= Self.maximumPatterns else {
            throw ContainerfileError(
                code: .tooLarge,
                diagnostics: [
                    text.diagnostic(line: 1, column: 1, "the file has more than \(Self.maximumPatterns) patterns")
                ])
        }
        self.patterns = patterns
    }

    /// Rules from patterns, as `--exclude` gives them.
    public init(patterns: [String]) throws(InvalidValue) {
        var parsed: [IgnorePattern] = []
        for pattern in patterns {
            if let pattern = try IgnorePattern(parsing: pattern) { parsed.append(pattern) }
        }
        self.patterns = parsed
    }

    /// The files that may hold the rules for a Containerfile, best first: one of its own beside it, then the context's.
    public static func fileNames(forContainerfile path: String) -> (own: String, context: [String]) {
        (path + ".dockerignore", [".containerignore", ".dockerignore"])
    }

    /// The place to begin a walk: the root of the context.
    public var root: Folder { Folder(rules: self) }

    /// Whether this path, relative to the root and with '/', is left out. For a whole tree walk from ``root``.
    public func excludes(_ path: String) -> Bool {
        var folder = root
        for component in path.split(separator: "/") where component != "." { folder = folder.entry(component) }
        return folder.isExcluded
    }

    /// One path on a walk through the context, with what is known of every pattern so far: an entry costs one
    /// step for each character of its name and each pattern that can still match.
    public struct Folder: Sendable {
        /// Whether this path is left out.
        public private(set) var isExcluded = false
        /// Whether an exception could bring back something below; if not, an excluded folder need not be opened.
        public private(set) var mayHoldExceptions: Bool

        private let rules: IgnoreRules
        /// For each pattern the parts that can come next; empty when it can match nothing below.
        private var states: [IgnorePattern.States]
        /// For each pattern whether it takes this path or a folder above.
        private var taken: [Bool]
        private let isRoot: Bool

        fileprivate init(rules: IgnoreRules) {
            self.rules = rules
            states = rules.patterns.map(\.start)
            taken = rules.patterns.map { _ in false }
            isRoot = true
            mayHoldExceptions = rules.patterns.contains(where: \.isException)
        }

        private init(rules: IgnoreRules, states: [IgnorePattern.States], taken: [Bool]) {
            self.rules = rules
            self.states = states
            self.taken = taken
            isRoot = false
            mayHoldExceptions = false
            for (index, pattern) in rules.patterns.enumerated() {
                if taken[index] {
                    isExcluded = !pattern.isException
                }
            }
            // An exception counts only behind the last pattern that leaves this path out.
            let last = rules.patterns.indices.last { taken[$0] && !rules.patterns[$0].isException }
            for index in rules.patterns.indices where rules.patterns[index].isException {
                if index > last ?? -1, !states[index].isEmpty || taken[index] { mayHoldExceptions = true }
            }
        }

        /// The entry of this folder with that name.
        public func entry(_ name: some StringProtocol) -> Folder {
            let scalars = Array(name.unicodeScalars)
            var next = states, taken = taken
            for (index, pattern) in rules.patterns.enumerated() where !next[index].isEmpty {
                if !isRoot { pattern.advance(&next[index], over: "/") }
                for scalar in scalars {
                    if next[index].isEmpty { break }
                    pattern.advance(&next[index], over: scalar)
                }
                if pattern.isComplete(next[index]) { taken[index] = true }
            }
            return Folder(rules: rules, states: next, taken: taken)
        }
    }
}
