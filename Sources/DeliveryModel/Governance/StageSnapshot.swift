/// How a stage runs a release: everything but the image.
public struct StageSnapshot: Codable, Hashable, Sendable {
    public enum Variable: Codable, Hashable, Sendable {
        case value(String)
        /// The name of the secret, and how it was set; its value is nobody's business here.
        case secret(String, Setting = .unknown)
    }

    public enum Setting: Codable, Hashable, Sendable {
        case unknown, missing
        case version(String)
    }

    /// Each with a name for people and its value in words, in the order of the list.
    public var facts: [Fact]
    public var environment: [String: Variable]

    public struct Fact: Codable, Hashable, Sendable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public init(facts: [Fact], environment: [String: Variable]) {
        self.facts = facts
        self.environment = environment
    }

    /// One thing that would be otherwise. Values of secrets are never in it.
    public struct Change: Codable, Hashable, Sendable {
        public enum Kind: String, Codable, Hashable, Sendable { case added, removed, changed }

        public var kind: Kind
        /// `replicas`, or the name of a variable.
        public var name: String
        public var isVariable: Bool
        public var from: String?
        public var to: String?

        public init(_ kind: Kind, _ name: String, isVariable: Bool = false, from: String? = nil, to: String? = nil) {
            self.kind = kind
            self.name = name
            self.isVariable = isVariable
            self.from = from
            self.to = to
        }

        /// `replicas: 1 → 2`, for people.
        public var text: String {
            switch kind {
            case .added: "\(name): \(to ?? "") (new)"
            case .removed: "\(name): \(from ?? "") (removed)"
            case .changed: "\(name): \(from ?? "") → \(to ?? "")"
            }
        }
    }

    /// What is otherwise in this one than in `old`; without an old one everything is new.
    public func changes(from old: StageSnapshot?) -> [Change] {
        var changes: [Change] = []
        let before = Dictionary((old?.facts ?? []).map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        for fact in facts where before[fact.name] != fact.value {
            changes.append(Change(before[fact.name] == nil ? .added : .changed, fact.name, from: before[fact.name], to: fact.value))
        }
        let names = Set(facts.map(\.name))
        changes += (old?.facts ?? []).filter { !names.contains($0.name) }.map { Change(.removed, $0.name, from: $0.value) }
        let variables = old?.environment ?? [:]
        for name in Set(variables.keys).union(environment.keys).sorted() {
            let (from, to) = (variables[name], environment[name])
            if let from, let to, Self.isSame(from, to) { continue }
            if from == nil, to == nil { continue }
            let kind: Change.Kind = from == nil ? .added : to == nil ? .removed : .changed
            changes.append(Change(kind, name, isVariable: true, from: from.map { Self.text($0) }, to: to.map { Self.text($0, after: from) }))
        }
        return changes
    }

    /// Of a secret whose setting nobody noted down nobody can say that it is otherwise.
    private static func isSame(_ old: Variable, _ new: Variable) -> Bool {
        if case .secret(let one, let before) = old, case .secret(let other, let after) = new, one == other {
            return after != .missing && (before == .unknown || after == .unknown || before == after)
        }
        return old == new
    }

    private static func text(_ variable: Variable, after old: Variable? = nil) -> String {
        switch variable {
        case .value(let value): return "\"\(value)\""
        case .secret(let name, .missing): return "the secret \(name), which is not set"
        case .secret(let name, _):
            if case .secret(name, _) = old { return "the secret \(name), set anew" }
            return "the secret \(name)"
        }
    }
}
