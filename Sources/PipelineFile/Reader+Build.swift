internal import DeliveryModel
internal import Yams

extension Reader {
    func build(_ node: Node) -> BuildPlan? {
        guard let fields = fields(node, .build) else { return nil }
        var plan = BuildPlan(
            image: fields["image"].flatMap { imageReference($0, "image", allowDigest: false) } ?? "")
        if let node = fields["base"], let base = base(node) { plan.base = base == "scratch" ? nil : base }
        plan.copy = fields["copy"].map { copies($0) } ?? []
        plan.entrypoint = fields["entrypoint"].flatMap { arguments($0, "entrypoint") }
        plan.cmd = fields["cmd"].flatMap { arguments($0, "cmd") }
        plan.environment = fields["environment"].map { literals($0) } ?? [:]
        plan.user = fields["user"].flatMap { user($0) }
        plan.workdir = fields["workdir"].flatMap { absolutePath($0, "workdir") }
        plan.ports = fields["ports"].map { ports($0) } ?? []
        plan.labels = fields["labels"].map { labels($0) } ?? [:]
        plan.containerfile = containerfile(fields)
        return plan
    }

    private func containerfile(_ fields: Fields) -> ContainerfilePlan? {
        guard let file = fields["file"] else {
            for key in KeySet.withContainerfile {
                if let node = fields[key] { report(node, "'\(key)' goes with 'file' only", "add file: Containerfile, or remove it") }
            }
            return nil
        }
        for key in KeySet.besideContainerfile {
            if let node = fields[key] { report(node, "'\(key)' does not go with 'file'", "say it in the Containerfile") }
        }
        guard let path = relativePath(file, "file") else { return nil }
        var plan = ContainerfilePlan(file: path)
        plan.target = fields["target"].flatMap { text($0, "target") }
        plan.arguments = fields["arguments"].map { literals($0) } ?? [:]
        plan.secrets = fields["secrets"].flatMap { texts($0, "secrets", single: true) } ?? []
        for name in plan.secrets where !Names.isSecret(name) {
            if let node = fields["secrets"] {
                report(
                    node, "'\(name.prefix(80))' is not the name of a secret", "use letters, digits, '_' and '-', not beginning with a digit or '-'")
            }
        }
        return plan
    }

    private func base(_ node: Node) -> String? {
        if case .scalar(let scalar) = node, scalar.string == "scratch" { return "scratch" }
        return imageReference(node, "base", allowDigest: true)
    }

    private func copies(_ node: Node) -> [CopyPlan] {
        guard let items = list(node, "copy", hint: "write '- {from: dist/app, to: /bin/app}'") else { return [] }
        return items.compactMap { item in
            guard let fields = fields(item, .copy) else { return nil }
            let from = fields["from"].flatMap { relativePath($0, "from") }
            let to = fields["to"].flatMap { absolutePath($0, "to") }
            let mode = fields["mode"].flatMap { self.mode($0) }
            guard let from, let to else { return nil }
            return CopyPlan(from: from, to: to, mode: mode)
        }
    }

    /// Only quoted: YAML 1.1 reads 0755 as the number 493, YAML 1.2 as 755.
    private func mode(_ node: Node) -> UInt16? {
        guard let text = text(node, "mode") else { return nil }
        let mode = Quantity.mode(text)
        guard case .scalar(let scalar) = node, scalar.style != .plain else {
            report(
                node, "mode is text in quotes: YAML versions read \(text.prefix(20)) as different numbers",
                mode == nil ? "write \"0755\"" : "write \"\(text)\"")
            return nil
        }
        if mode == nil {
            report(node, "'\(text.prefix(40))' is not a file mode", "write three or four octal digits, as in \"0755\"")
        }
        return mode
    }

    private func relativePath(_ node: Node, _ what: String) -> String? {
        guard let text = text(node, what) else { return nil }
        let components = text.split(separator: "/", omittingEmptySubsequences: true)
        guard !text.hasPrefix("/"), !components.contains(".."), text.utf8.count <= 4096 else {
            report(
                node, "\(what) is not a path in the workspace: '\(text.prefix(80))'",
                "write it relative to the repository, without a leading '/' and without '..'")
            return nil
        }
        return text
    }

    private func absolutePath(_ node: Node, _ what: String) -> String? {
        guard let text = text(node, what) else { return nil }
        guard text.hasPrefix("/"), !text.split(separator: "/").contains(".."), text.utf8.count <= 4096 else {
            report(
                node, "\(what) is an absolute path in the image, this is '\(text.prefix(80))'",
                "begin with '/', without '..'")
            return nil
        }
        return text
    }

    private func user(_ node: Node) -> String? {
        guard let text = text(node, "user") else { return nil }
        guard Names.isUser(text) else {
            report(node, "'\(text.prefix(80))' is not a user", "write a name or number, or user:group")
            return nil
        }
        return text
    }

    private func ports(_ node: Node) -> [String] {
        guard let items = list(node, "ports", hint: "write [80] or [\"53/udp\"]") else { return [] }
        return items.compactMap { item in
            guard let text = text(item, "a port") else { return nil }
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            let transport = parts.count == 2 ? String(parts[1]) : "tcp"
            guard parts.count <= 2, parts[0].first != "0", parts[0].allSatisfy({ $0.isASCII && $0.isNumber }),
                UInt16(parts[0]) != nil, ["tcp", "udp", "sctp"].contains(transport)
            else {
                report(item, "'\(text.prefix(40))' is not a port", "write 1 to 65535, or 53/udp")
                return nil
            }
            return "\(parts[0])/\(transport)"
        }
    }

    private func labels(_ node: Node) -> [String: String] {
        guard case .mapping(let pairs) = node else {
            report(node, "labels is a mapping, this is \(describe(node))", "write key: value")
            return [:]
        }
        var labels: [String: String] = [:]
        for (key, value) in pairs {
            guard let name = text(key, "a label's name"),
                let text = text(value, "the value of label \(name.prefix(60))", allowEmpty: true)
            else { continue }
            labels[name] = text
        }
        return labels
    }

    /// A command line as a list: nothing splits words.
    func arguments(_ node: Node, _ what: String) -> [String]? {
        if case .scalar(let scalar) = node, !isNull(node) {
            let words = scalar.string.split(separator: " ").map { "\"\($0)\"" }
            let example = words.count <= 8 && !scalar.string.contains("\"") ? words.joined(separator: ", ") : "\"/bin/app\""
            report(node, "\(what) is a list: no shell splits words", "write [\(example)]")
            return nil
        }
        return texts(node, what, single: false, allowEmpty: true)
    }
}
