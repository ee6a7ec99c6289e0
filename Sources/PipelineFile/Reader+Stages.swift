internal import DeliveryModel
internal import Yams

extension Reader {
    static let maximumStages = 50

    func service(_ node: Node) -> ServiceDefinition? {
        guard let fields = fields(node, .service) else { return nil }
        // A port that was refused does not make it a worker.
        let port = fields["port"].map { integer($0, "port", 1...65535) ?? 0 }
        return ServiceDefinition(
            command: fields["command"].flatMap { arguments($0, "command") },
            environment: fields["environment"].map { literals($0) } ?? [:],
            port: port,
            health: fields["health"].map { health($0, port: port) } ?? HealthCheck(port == nil ? .none : .http(.init())),
            limits: fields["limits"].map { limits($0) } ?? ResourceLimits(),
            replicas: fields["replicas"].flatMap { integer($0, "replicas", 1...100) } ?? 1,
            jobs: fields["jobs"].flatMap { jobs($0) }, cron: fields["cron"].flatMap { cron($0) }, isolation: isolation(fields))
    }

    private func isolation(_ fields: Fields) -> Isolation? {
        let isolation = Isolation(
            readOnly: fields["read_only"].flatMap { bool($0, "read_only") } ?? true,
            tmpfs: fields["tmpfs"].map { folders($0) } ?? [], capabilities: fields["capabilities"].map { capabilities($0) } ?? [])
        return isolation == Isolation() ? nil : isolation
    }

    private func folders(_ node: Node) -> [String] {
        let folders = texts(node, "tmpfs", single: true) ?? []
        for folder in folders {
            let parts = folder.split(separator: "/")
            if !folder.hasPrefix("/") || parts.isEmpty || folder != "/" + parts.joined(separator: "/") || parts.contains("..") || parts.contains(".")
                || folder.utf8.count > 255 || folder.contains(where: { $0.isWhitespace || ":,\0".contains($0) })
            {
                report(node, "'\(folder.prefix(80))' cannot be a folder in memory", "write an absolute path, as in /var/cache/app")
            } else if ["proc", "sys", "dev"].contains(parts[0]) {
                report(node, "\(folder) belongs to the kernel", "write another path, as in /var/cache/app")
            }
        }
        if folders.count > 16 { report(node, "there are at most 16 folders in memory") }
        if Set(folders).count != folders.count { report(node, "'tmpfs' names a folder twice") }
        return folders
    }

    private func capabilities(_ node: Node) -> [String] {
        let names = texts(node, "capabilities", single: true) ?? []
        for name in names where !Isolation.grantable.contains(name) {
            report(node, "'\(name.prefix(40))' is no capability that a service can have", "one of \(Isolation.grantable.joined(separator: ", "))")
        }
        return names
    }

    /// - Parameter isWorker: the service has no port.
    func stages(_ node: Node, isWorker: Bool) -> [StagePlan] {
        guard let items = list(node, "stages", hint: "write '- name: …' for every stage") else { return [] }
        if items.isEmpty { report(node, "'stages' has no entry", "remove the key, or add a stage") }
        if items.count > Self.maximumStages {
            report(node, "more than \(Self.maximumStages) stages")
            return []
        }
        var stages: [StagePlan] = []
        var graph = DependencyGraph(what: "stage")
        var places: [String: String] = [:]
        for item in items {
            guard let fields = fields(item, .stage) else { continue }
            var stage = StagePlan(name: fields["name"].flatMap { name($0, "stage name") } ?? "")
            if let node = fields["after"] { stage.after = text(node, "after") }
            if let node = fields["name"], !stage.name.isEmpty {
                let after = stage.after.flatMap { name in fields["after"].map { [(name: name, node: $0)] } }
                graph.add(stage.name, at: node, dependencies: after ?? [], self)
            }
            if let node = fields["target"] { stage.target = name(node, "target name") ?? stage.target }
            if isWorker {
                stage.host = ""
                for key in ["host", "paths", "strip_prefix", "legacy"] where fields[key] != nil {
                    report(fields.key(key), "no request reaches a service without a port", "add `port` to service, or remove '\(key)'")
                }
            } else {
                scope(of: &stage, fields)
                if let node = fields["host"], let host = host(node) {
                    stage.host = host
                    claim(host, of: stage, at: node, &places)
                }
            }
            stage.approval = fields["approval"].flatMap { approval($0) }
            stage.environment = fields["environment"].map { environment($0, secrets: true) } ?? [:]
            stage.replicas = fields["replicas"].flatMap { integer($0, "replicas", 1...100) }
            stage.drain = fields["drain"].flatMap { duration($0, "drain", 0...3600) }
            stage.strategy = fields["strategy"].flatMap { strategy($0) }
            if case .blueGreen(let options) = stage.strategy, let preview = options.preview, let node = fields["strategy"] {
                if preview == stage.host {
                    report(node, "the host \(preview) is used twice", "give the preview a host of its own")
                } else {
                    claim(preview, of: stage, at: node, &places)
                }
            }
            stage.soak = fields["soak"].flatMap { duration($0, "soak", 0...86400) }
            stage.freeze = fields["freeze"].flatMap { freeze($0) }
            stage.promote = fields["promote"].flatMap { promotion($0) }
            stage.autoscale = fields["autoscale"].flatMap { autoscale($0) }
            stages.append(stage)
        }
        graph.check(self)
        return stages
    }

    func host(_ node: Node) -> String? {
        guard let text = text(node, "host") else { return nil }
        guard Names.isHost(text) else {
            let lowered = text.lowercased()
            let hint =
                Names.isHost(lowered)
                ? "write \(lowered)" : "write the name only, as in gtin.example.com: no scheme, port, path or '*'"
            report(node, "'\(text.prefix(80))' is not a host name", hint)
            return nil
        }
        return text
    }

    private func autoscale(_ node: Node) -> AutoscaleRule? {
        guard let fields = fields(node, .autoscale) else { return nil }
        var rule = AutoscaleRule(min: 1, max: fields["max"].flatMap { integer($0, "max", 1...100) } ?? 1)
        if let node = fields["min"] { rule.min = integer(node, "min", 1...100) ?? 1 }
        if let node = fields["requests"] { rule.requests = integer(node, "requests", 1...100_000).map(Double.init) }
        if let node = fields["cpu"] { rule.cpu = wholePercent(node, "cpu") }
        if let node = fields["cooldown"] { rule.cooldown = duration(node, "cooldown", 5...3600) ?? rule.cooldown }
        if fields["max"] != nil, rule.min > rule.max { report(node, "min is more than max", "write the smaller number as min") }
        if fields["requests"] == nil, fields["cpu"] == nil {
            report(node, "autoscale looks at nothing", "add requests: 20 (in flight, for each instance), or cpu: 70%")
        }
        return rule
    }

    /// `70%` as 0.7.
    private func wholePercent(_ node: Node, _ what: String) -> Double? {
        guard let text = text(node, what) else { return nil }
        guard text.hasSuffix("%"), let number = Int(text.dropLast()), (1...100).contains(number) else {
            report(node, "\(what) is a part of the processors from 1% to 100%, this is '\(text.prefix(40))'", "write 70%")
            return nil
        }
        return Double(number) / 100
    }

    private func approval(_ node: Node) -> ApprovalRule? {
        guard let fields = fields(node, .approval) else { return nil }
        var approval = ApprovalRule()
        if let node = fields["count"] { approval.count = integer(node, "count", 1...100) ?? 1 }
        if let node = fields["from"], let from = texts(node, "from", single: true) {
            for text in from where !Names.isApprover(text) {
                report(node, "'\(text.prefix(80))' is neither a user nor a group", "write alice or group:sre")
            }
            if from.isEmpty { report(node, "'from' has no entry", "remove the key: then everyone who may approve can") }
            approval.from = from
        }
        if let node = fields["not_author"] { approval.notAuthor = bool(node, "not_author") ?? false }
        if let node = fields["expires"] { approval.expires = duration(node, "expires", 60...31_536_000) }
        return approval
    }
}
