/// How a stage runs a release: everything but the image.
public struct StageSnapshot: Codable, Hashable, Sendable {
    public enum Variable: Codable, Hashable, Sendable {
        case value(String)
        /// The name of the secret; its value is nobody's business here.
        case secret(String)
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
            guard from != to else { continue }
            let kind: Change.Kind = from == nil ? .added : to == nil ? .removed : .changed
            changes.append(Change(kind, name, isVariable: true, from: from.map(Self.text), to: to.map(Self.text)))
        }
        return changes
    }

    private static func text(_ variable: Variable) -> String {
        switch variable {
        case .value(let value): "\"\(value)\""
        case .secret(let name): "the secret \(name)"
        }
    }
}
