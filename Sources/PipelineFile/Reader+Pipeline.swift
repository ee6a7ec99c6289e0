internal import DeliveryModel
internal import Yams

extension Reader {
    /// The whole file. What is returned is only good when ``diagnostics`` is empty.
    func pipeline(_ root: Node) -> PipelinePlan? {
        if isNull(root) {
            report(root, "the file is empty", "begin with steps or build; docs/pipeline.md shows examples")
            return nil
        }
        guard let fields = fields(root, .pipeline) else { return nil }
        let concurrency = fields["concurrency"].flatMap { self.concurrency($0) }
        let steps = fields["steps"].map { self.steps($0) } ?? []
        let build = fields["build"].flatMap { self.build($0) }
        let service = fields["service"].flatMap { self.service($0) }
        var stages = fields["stages"].map { self.stages($0, isWorker: service.map { $0.port == nil } ?? false) } ?? []
        if let node = fields["train"], let train = name(node, "train") { for index in stages.indices { stages[index].train = train } }
        if let node = fields["requires"], let pipelines = requires(node) {
            for index in stages.indices { stages[index].requires = pipelines }
        }
        for key in ["train", "requires"] where fields[key] != nil && fields["stages"] == nil && !fields.refused.contains("stages") {
            report(fields.key(key), "'\(key)' is about stages, and the file has none", "add stages: or remove \(key)")
        }
        if fields["steps"] == nil, fields["build"] == nil, fields["stages"] == nil, fields.refused.isDisjoint(with: ["steps", "build"]) {
            report(root, "the pipeline does nothing: it has neither steps nor build", "add steps: or build:")
        }
        for needed in ["build", "service"]
        where fields["stages"] != nil && fields[needed] == nil && !fields.refused.contains(needed) {
            report(fields.key("stages"), "stages need '\(needed)'", "add \(needed): or remove stages")
        }
        return PipelinePlan(
            name: checkedName(root), when: fields["when"].map { self.when($0) } ?? [Trigger()],
            concurrency: concurrency, steps: steps, build: build, service: service, stages: stages)
    }

    /// Pipelines of the same project.
    private func requires(_ node: Node) -> [String]? {
        guard let names = texts(node, "requires", single: true) else { return nil }
        if names.isEmpty { report(node, "'requires' has no entry", "remove the key, or name a pipeline") }
        for name in names {
            if !Names.isPipeline(name) {
                report(node, "'\(name.prefix(80))' cannot name a pipeline", "write the names of pipeline files, without folder and .yaml")
            } else if name == pipelineName {
                report(node, "'requires' names the pipeline itself", "name the pipelines that have to be there before this one")
            }
        }
        if Set(names).count != names.count { report(node, "'requires' names a pipeline twice") }
        return names
    }

    private var pipelineName: String {
        var name = source.file.split(separator: "/").last.map(String.init) ?? ""
        for ending in [".yaml", ".yml"] where name.hasSuffix(ending) { name = String(name.dropLast(ending.count)) }
        return name
    }

    private func checkedName(_ root: Node) -> String {
        let name = pipelineName
        if !Names.isPipeline(name) {
            report(
                root, "'\(name.prefix(80))' cannot name a pipeline",
                "name the file with letters, digits, '-', '_' and '.', at most 63 characters, and .yaml")
        }
        return name
    }

    // MARK: when

    private func when(_ node: Node) -> [Trigger] {
        guard case .sequence(let items) = node else { return trigger(node).map { [$0] } ?? [] }
        if items.isEmpty { report(node, "'when' has no entry", "the pipeline would never run; remove the key") }
        return items.compactMap { trigger($0) }
    }

    private func trigger(_ node: Node) -> Trigger? {
        guard let fields = fields(node, .trigger) else { return nil }
        var trigger = Trigger()
        if let node = fields["event"] { trigger.events = events(node) }
        if let node = fields["branch"] { trigger.branches = filter(node, "branch") }
        if let node = fields["path"] { trigger.paths = filter(node, "path") }
        return trigger
    }

    private func events(_ node: Node) -> Set<Event> {
        let items: [Node]
        if case .sequence(let sequence) = node { items = Array(sequence) } else { items = [node] }
        if items.isEmpty { report(node, "'event' has no entry", "remove the key, or name an event") }
        var events: Set<Event> = []
        for item in items {
            guard let text = text(item, "an event") else { continue }
            if let event = Event(rawValue: text) {
                events.insert(event)
                continue
            }
            let known = Event.allCases.map(\.rawValue)
            let nearest = Suggestion.nearest(to: text, among: known).map { "did you mean '\($0)'?" }
            report(item, "unknown event '\(text.prefix(60))'", nearest ?? "known events: \(known.joined(separator: ", "))")
        }
        return events
    }

    private func filter(_ node: Node, _ what: String) -> GlobFilter {
        guard case .mapping = node else { return GlobFilter(include: patterns(node, what)) }
        guard let fields = fields(node, .filter) else { return GlobFilter() }
        return GlobFilter(
            include: fields["include"].map { patterns($0, "\(what).include") } ?? [],
            exclude: fields["exclude"].map { patterns($0, "\(what).exclude") } ?? [])
    }

    private func patterns(_ node: Node, _ what: String) -> [String] {
        guard let texts = texts(node, what, single: true) else { return [] }
        if texts.isEmpty { report(node, "'\(what)' has no entry", "remove the key, or name a pattern") }
        for text in texts where text.utf8.count > 1000 { report(node, "a pattern of '\(what)' is longer than 1000") }
        return texts
    }
}
