internal import DeliveryModel
internal import Yams

extension Reader {
    static let maximumSteps = 200

    func steps(_ node: Node) -> [StepPlan] {
        guard let items = list(node, "steps", hint: "write '- name: …' for every step") else { return [] }
        if items.isEmpty { report(node, "'steps' has no entry", "remove the key, or add a step") }
        if items.count > Self.maximumSteps {
            report(node, "more than \(Self.maximumSteps) steps", "split the pipeline into several files")
            return []
        }
        var steps: [StepPlan] = []
        var graph = DependencyGraph(what: "step")
        var isExplicit = false
        for item in items {
            guard let fields = fields(item, .step) else { continue }
            let name = fields["name"].flatMap { self.name($0, "step name") }
            let dependencies = fields["depends_on"].map { dependencyList($0) }
            if dependencies != nil { isExplicit = true }
            if let name, let nameNode = fields["name"] {
                graph.add(name, at: nameNode, dependencies: dependencies ?? [], self)
            }
            steps.append(
                StepPlan(
                    name: name ?? "",
                    image: fields["image"].flatMap { imageReference($0, "image", allowDigest: true) } ?? "",
                    commands: fields["commands"].map { commands($0) } ?? [],
                    environment: fields["environment"].map { environment($0, secrets: true) } ?? [:],
                    dependsOn: dependencies?.map(\.name) ?? [],
                    timeout: fields["timeout"].flatMap { duration($0, "timeout", 1...86400) } ?? 3600,
                    retries: fields["retries"].flatMap { integer($0, "retries", 0...10) } ?? 0,
                    limits: fields["limits"].map { limits($0) } ?? ResourceLimits()))
        }
        graph.check(self)
        if !isExplicit {
            for index in steps.indices.dropFirst() { steps[index].dependsOn = [steps[index - 1].name] }
        }
        return steps
    }

    private func dependencyList(_ node: Node) -> [(name: String, node: Node)] {
        let items: [Node]
        if case .sequence(let sequence) = node { items = Array(sequence) } else { items = [node] }
        return items.compactMap { item in text(item, "an entry of depends_on").map { ($0, item) } }
    }

    private func commands(_ node: Node) -> [String] {
        let items: [Node]
        switch node {
        case .scalar: items = [node]
        case .sequence(let sequence): items = Array(sequence)
        case .mapping, .alias:
            report(node, "commands is a list of text, this is \(describe(node))", "begin every command with '- '")
            return []
        }
        if items.isEmpty { report(node, "'commands' has no entry", "add a command") }
        return items.compactMap { item in
            if case .scalar(let scalar) = item, scalar.string.contains("${{") {
                report(
                    item, "'${{ … }}' in commands: values are never expanded into commands",
                    "pass the value as environment and write \"$NAME\"")
                return nil
            }
            return text(item, "a command")
        }
    }

    /// `NAME: text` or, where a container reads it, `NAME: {from_secret: name}`.
    func environment(_ node: Node, secrets: Bool) -> [String: Value] {
        guard case .mapping(let pairs) = node else {
            report(node, "environment is a mapping, this is \(describe(node))", "write NAME: value")
            return [:]
        }
        var values: [String: Value] = [:]
        for (key, value) in pairs {
            guard let name = text(key, "a variable's name") else { continue }
            guard Names.isVariable(name) else {
                report(
                    key, "'\(name.prefix(80))' is not a variable's name",
                    "use letters, digits and '_', not beginning with a digit")
                continue
            }
            if case .mapping = value {
                values[name] = secretValue(value, allowed: secrets)
            } else if let text = text(value, "the value of \(name)", allowEmpty: true) {
                values[name] = .literal(text)
            }
        }
        return values
    }

    private func secretValue(_ node: Node, allowed: Bool) -> Value? {
        guard let fields = fields(node, .secret), let node = fields["from_secret"] else { return nil }
        guard allowed else {
            report(
                node, "a secret cannot be part of an image or a release",
                "name it in the environment of a step or of a stage")
            return nil
        }
        guard let name = text(node, "from_secret") else { return nil }
        guard Names.isSecret(name) else {
            report(
                node, "'\(name.prefix(80))' is not a secret's name",
                "use letters, digits, '_' and '-', not beginning with a digit or '-', at most 128")
            return nil
        }
        return .secret(name)
    }

    /// An environment without secrets.
    func literals(_ node: Node) -> [String: String] {
        environment(node, secrets: false).compactMapValues { if case .literal(let text) = $0 { text } else { nil } }
    }

    func limits(_ node: Node) -> ResourceLimits {
        guard let fields = fields(node, .limits) else { return ResourceLimits() }
        return ResourceLimits(
            memoryBytes: fields["memory"].flatMap { size($0, "memory", minimum: 6 << 20) },
            cpus: fields["cpus"].flatMap { cpus($0, "cpus") },
            pids: fields["pids"].flatMap { integer($0, "pids", 1...1_000_000) })
    }
}
