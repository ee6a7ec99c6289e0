internal import DeliveryModel
internal import Yams

extension Reader {
    static let maximumStages = 50

    func service(_ node: Node) -> ServiceDefinition? {
        guard let fields = fields(node, .service) else { return nil }
        let port = fields["port"].flatMap { integer($0, "port", 1...65535) }
        return ServiceDefinition(
            command: fields["command"].flatMap { arguments($0, "command") },
            environment: fields["environment"].map { literals($0) } ?? [:],
            port: port ?? 0,
            health: fields["health"].map { health($0) } ?? HealthCheck(),
            limits: fields["limits"].map { limits($0) } ?? ResourceLimits(),
            replicas: fields["replicas"].flatMap { integer($0, "replicas", 1...100) } ?? 1,
            jobs: fields["jobs"].flatMap { jobs($0) }, cron: fields["cron"].flatMap { cron($0) })
    }

    private func health(_ node: Node) -> HealthCheck {
        var health = HealthCheck()
        guard let fields = fields(node, .health) else { return health }
        if let node = fields["path"], let path = text(node, "path") {
            let isClean = path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
            if path.hasPrefix("/"), isClean, path.utf8.count <= 1000 {
                health.path = path
            } else {
                report(node, "'\(path.prefix(80))' is not a URL path", "begin with '/', without spaces: /healthz")
            }
        }
        if let node = fields["interval"] { health.interval = duration(node, "interval", 0.05...3600) ?? health.interval }
        if let node = fields["timeout"] { health.timeout = duration(node, "timeout", 0.05...3600) ?? health.timeout }
        if let node = fields["healthy"] { health.healthy = integer(node, "healthy", 1...100) ?? health.healthy }
        if let node = fields["grace"] { health.grace = duration(node, "grace", 1...86400) ?? health.grace }
        return health
    }

    func stages(_ node: Node) -> [StagePlan] {
        guard let items = list(node, "stages", hint: "write '- name: …' for every stage") else { return [] }
        if items.isEmpty { report(node, "'stages' has no entry", "remove the key, or add a stage") }
        if items.count > Self.maximumStages {
            report(node, "more than \(Self.maximumStages) stages")
            return []
        }
        var stages: [StagePlan] = []
        var graph = DependencyGraph(what: "stage")
        var hosts: [String: String] = [:]
        for item in items {
            guard let fields = fields(item, .stage) else { continue }
            var stage = StagePlan(name: fields["name"].flatMap { name($0, "stage name") } ?? "")
            if let node = fields["after"] { stage.after = text(node, "after") }
            if let node = fields["name"], !stage.name.isEmpty {
                let after = stage.after.flatMap { name in fields["after"].map { [(name: name, node: $0)] } }
                graph.add(stage.name, at: node, dependencies: after ?? [], self)
            }
            if let node = fields["target"] { stage.target = name(node, "target name") ?? stage.target }
            if let node = fields["host"], let host = host(node) {
                stage.host = host
                if let other = hosts.updateValue(stage.name, forKey: host) {
                    report(node, "stage '\(other)' has the same host", "give every stage its own host")
                }
            }
            stage.approval = fields["approval"].flatMap { approval($0) }
            stage.environment = fields["environment"].map { environment($0, secrets: true) } ?? [:]
            stage.replicas = fields["replicas"].flatMap { integer($0, "replicas", 1...100) }
            stage.drain = fields["drain"].flatMap { duration($0, "drain", 0...3600) }
            stage.strategy = fields["strategy"].flatMap { strategy($0) }
            if case .blueGreen(let options) = stage.strategy, let preview = options.preview, let node = fields["strategy"] {
                if preview == stage.host || hosts.updateValue(stage.name, forKey: preview) != nil {
                    report(node, "the host \(preview) is used twice", "give the preview a host of its own")
                }
            }
            stage.soak = fields["soak"].flatMap { duration($0, "soak", 0...86400) }
            stage.freeze = fields["freeze"].flatMap { freeze($0) }
            stage.promote = fields["promote"].flatMap { promotion($0) }
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
