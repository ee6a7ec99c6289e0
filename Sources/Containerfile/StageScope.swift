/// The variables of one stage while its instructions run, in order: ENV of the base and of the stage, and declared ARGs.
///
/// ENV and ARG share one name space in which the last instruction wins: an ENV after an ARG of the same name replaces it,
/// and an ARG that has a value replaces an ENV before it, for this build only.
public struct StageScope: Sendable {
    /// For ``Word/expanded(in:)``.
    public private(set) var variables: [String: String] = [:]
    /// ENV only, in the order of first appearance, as the config holds it.
    public private(set) var environment: [(name: String, value: String)]
    /// The values ARG gave, by name; nil: declared, without a value.
    public private(set) var arguments: [String: String?] = [:]

    /// Where in `environment` a name is.
    private var places: [String: Int] = [:]
    private let globals: [String: String]
    private let given: [String: String]

    /// - Parameters:
    ///   - base: the base's `Env`, as `NAME=value`.
    ///   - globals: ``BuildFile/globalValues(_:targetStage:)``.
    ///   - arguments: what the build was given.
    public init(base: [String], globals: [String: String], arguments: BuildArguments) {
        self.globals = globals
        given = arguments.values
        environment = []
        for entry in base {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            set(String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
        }
    }

    /// ARG: a value given to the build wins over the default, the default over the global argument of that name.
    public mutating func declare(_ declaration: ArgumentDeclaration) throws(ContainerfileError) {
        let value: String?
        if let given = given[declaration.name] {
            value = given
        } else if let standard = declaration.value {
            value = try standard.expanded(in: variables)
        } else {
            value = globals[declaration.name]
        }
        arguments.updateValue(value, forKey: declaration.name)
        if let value { variables[declaration.name] = value }
    }

    /// ENV: all pairs are expanded before the first is set.
    ///
    /// - Returns: the pairs with their values.
    @discardableResult
    public mutating func set(_ pairs: [KeyValue]) throws(ContainerfileError) -> [(name: String, value: String)] {
        let expanded = try Self.expand(pairs, in: variables)
        for (name, value) in expanded { set(name, value) }
        return expanded
    }

    /// The pairs of ENV or LABEL with their values.
    public static func expand(
        _ pairs: [KeyValue], in variables: [String: String]
    ) throws(ContainerfileError) -> [(name: String, value: String)] {
        var expanded: [(name: String, value: String)] = []
        for pair in pairs {
            let name = try pair.key.expanded(in: variables)
            guard !name.isEmpty, !name.contains("\0") else {
                throw pair.key.error(.expansion, "the name becomes empty", suggestion: "give the variables in it a value")
            }
            expanded.append((name, try pair.value.expanded(in: variables)))
        }
        return expanded
    }

    private mutating func set(_ name: String, _ value: String) {
        if let index = places[name] {
            environment[index].value = value
        } else {
            places[name] = environment.count
            environment.append((name, value))
        }
        arguments.removeValue(forKey: name)
        variables[name] = value
    }

    /// What RUN gets: ENV with the ARGs that replace or add, then the proxy arguments that were given undeclared.
    public var runEnvironment: [(name: String, value: String)] {
        var all = environment.map { ($0.name, variables[$0.name] ?? $0.value) }
        let names = Set(environment.map(\.name))
        for name in arguments.keys.sorted() where !names.contains(name) {
            if let value = variables[name] { all.append((name, value)) }
        }
        return all + proxies
    }

    /// The predefined arguments that were given and are nowhere declared: in no history, in no cache key.
    public var proxies: [(name: String, value: String)] {
        given.filter { BuildArguments.predefined.contains($0.key) && variables[$0.key] == nil }
            .sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
