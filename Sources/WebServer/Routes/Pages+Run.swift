import ContainerRuntime
import DeliveryModel
import Foundation
import Hummingbird
import ImageStore
import OCIModel
import PipelineEngine
import PipelineFile
import StateStore

extension Pages {
    private static let shownLines = 500

    func addRunRoutes(to router: Router<WebContext>) {
        router.get("/runs/:run") { request, context in
            try await reader(request) { try await run(request, context) }
        }
        router.get("/runs/:run/log/:step") { request, context in
            try await reader(request) { try await log(request, context) }
        }
    }

    private func run(_ request: Request, _ context: WebContext) async throws -> Response {
        let run = try await findRun(context, parts)
        let steps = try await parts.engine.shownSteps(of: run)
        let release = try await parts.store.release(ofRun: run.id)
        let deployments = try await release.asyncMap { try await parts.store.deployments(ofRelease: $0.id) } ?? []
        let caller = try await parts.access.caller(of: request)
        let signedIn = caller?.mayDeploy ?? false
        let isLive = !run.state.isTerminal || deployments.contains { !$0.phase.isTerminal }
        let shell = try await shell(
            "Run \(run.id)",
            [
                Crumb("Projects", url: "/"), Crumb(run.project, url: PageURL.project(run.project)),
                Crumb("Run \(run.id)"),
            ], request, isLive: isLive)
        var page = RunPage(
            shell: shell, id: "\(run.id)", badge: StateBadge(state: run.state.rawValue), subject: run.message,
            project: run.project, pipeline: run.pipeline, commit: run.commit, ref: run.branch ?? "",
            author: run.author, event: run.event, when: time(run.createdAt),
            duration: duration(run.startedAt, run.finishedAt))
        if run.state == .invalid {
            page.diagnostics = diagnostics(run)
        } else if let error = run.error {
            page.problem = Problem(message: error)
        }
        page.graph = StepGraph(steps: graph(run, steps, deployments))
        let opened = openSteps(steps)
        for step in steps { page.steps.append(try await panel(step, of: run, isOpen: opened.contains(step.name))) }
        page.image = try await image(of: run)
        page.release = release.map(facts)
        page.events = try await parts.store.events(project: nil, run: run.id, deployment: nil, limit: 100)
            .filter { $0.deployment == nil && $0.state == nil }.reversed().map(eventLine)
        for deployment in deployments {
            page.deployments.append(try await panel(deployment, release: release, caller: caller))
        }
        let reruns = try await parts.store.reruns(of: run.id)
        page.related = related(to: run, reruns, waitsFor: try await parts.engine.waitsFor(run))
        if signedIn, !run.state.isTerminal { page.cancelURL = "\(PageURL.run("\(run.id)"))/cancel" }
        if signedIn, run.state.isTerminal, run.plan != nil {
            page.rerun = RerunForms(
                run: "\(run.id)", key: "page-\(reruns.last?.id ?? 0)",
                offersFailed: run.state != .succeeded && steps.contains { $0.state == .succeeded })
        }
        return html(renderer.render(page))
    }

    private func related(to run: Run, _ reruns: [Run], waitsFor: Int64?) -> [RelatedRun] {
        let others = [("Waits for", waitsFor), ("Repeats", run.rerunOf), ("Superseded by", run.supersededBy)]
        return others.compactMap { relation, id in id.map { RelatedRun(relation, id: "\($0)") } }
            + reruns.map { RelatedRun("Repeated by", id: "\($0.id)") }
    }

    private func log(_ request: Request, _ context: WebContext) async throws -> Response {
        let run = try await findRun(context, parts)
        let step = try await findStep(try context.parameters.require("step"), of: run, parts)
        let shell = try await shell(
            "\(step.name) · run \(run.id)",
            [
                Crumb(run.project, url: PageURL.project(run.project)),
                Crumb("Run \(run.id)", url: PageURL.run("\(run.id)")), Crumb(step.name),
            ], request)
        let page = StepLogPage(
            shell: shell, run: "\(run.id)", step: step.name, badge: StateBadge(state: step.state.rawValue),
            log: try await logPanel(step, of: run, lines: 10_000))
        return html(renderer.render(page))
    }

    /// What runs or failed; else the last that ran, which says how it all ended.
    private func openSteps(_ steps: [Step]) -> Set<String> {
        let telling = steps.filter { $0.state == .running || $0.state == .failed }
        return Set((telling.isEmpty ? steps.filter { $0.startedAt != nil }.suffix(1) : telling[...]).map(\.name))
    }

    private func panel(_ step: Step, of run: Run, isOpen: Bool) async throws -> StepPanel {
        StepPanel(
            name: step.name, badge: StateBadge(state: step.state.rawValue), image: step.image,
            duration: duration(step.startedAt, step.finishedAt), outcome: outcome(of: step),
            isOpen: isOpen,
            log: try await logPanel(step, of: run, lines: Self.shownLines))
    }

    private func outcome(of step: Step) -> String? {
        let notes = [
            step.message, step.attempt > 1 && step.state.isTerminal ? "attempt \(step.attempt)" : nil,
            step.takenFrom.map { "from run \($0)" },
        ].compactMap { $0 }
        return notes.isEmpty ? nil : notes.joined(separator: " · ")
    }

    private func logPanel(_ step: Step, of run: Run, lines count: Int) async throws -> LogPanel {
        let log = try await parts.engine.maskedLog(run: run, step: step.name)
        var lines: [LogLine] = []
        var reason = step.startedAt == nil ? nil : absence(of: log)
        // One log that cannot be read does not hide the run.
        do { lines = try await log.tail(count) } catch let error as ContainerError { reason = error.description }
        return LogPanel(
            run: "\(run.id)", step: step.name,
            lines: lines.map {
                .init(offset: $0.offset, time: $0.time, isError: $0.stream == .stderr, text: $0.text)
            },
            isLive: !step.state.isTerminal && !run.state.isTerminal,
            note: lines.count == count ? "The last \(count) lines." : nil,
            absence: reason)
    }

    private func eventLine(_ event: RecordedEvent) -> EventLine {
        EventLine(
            at: time(event.at), badge: StateBadge.passed(event.state ?? "noted"), message: event.message,
            who: event.actor == "slipway" ? nil : event.actor)
    }

    /// The steps, then the image, then the stages as one picture.
    private func graph(_ run: Run, _ steps: [Step], _ deployments: [Deployment]) -> [StepGraph.Step] {
        var nodes = steps.map {
            StepGraph.Step(
                name: $0.name, badge: StateBadge(state: $0.state.rawValue),
                detail: duration($0.startedAt, $0.finishedAt), dependsOn: $0.dependsOn)
        }
        guard let digest = run.digest else { return nodes }
        let depended = Set(steps.flatMap(\.dependsOn))
        nodes.append(
            StepGraph.Step(
                name: "image", badge: StateBadge(state: "succeeded"), detail: String(digest.short.prefix(7)),
                dependsOn: steps.map(\.name).filter { !depended.contains($0) }, href: "#image"))
        var before = "image"
        for deployment in deployments where deployment.kind != "rollback" {
            guard !nodes.contains(where: { $0.name == deployment.stage }) else { continue }
            nodes.append(
                StepGraph.Step(
                    name: deployment.stage, badge: StateBadge(state: deployment.phase.rawValue),
                    detail: duration(deployment.startedAt, deployment.finishedAt), dependsOn: [before],
                    href: "#deployment-\(deployment.id)"))
            before = deployment.stage
        }
        return nodes
    }

    /// The diagnostics are kept as text; each block begins with `file:line:column: message`.
    private func diagnostics(_ run: Run) -> [DiagnosticBlock] {
        (run.error ?? "").components(separatedBy: "\n\n").map { block in
            let lines = block.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            let head = (lines.first ?? "").split(separator: ":", maxSplits: 3).map(String.init)
            guard head.count == 4, let line = Int(head[1]), let column = Int(head[2]) else {
                return DiagnosticBlock(file: "", line: 0, column: 0, message: block, source: "")
            }
            return DiagnosticBlock(
                file: head[0], line: line, column: column, message: head[3], source: lines.count > 1 ? lines[1] : "",
                suggestion: lines.count > 3 ? lines[3...].joined(separator: " ") : nil)
        }
    }

    private func image(of run: Run) async throws -> ImagePanel? {
        guard let digest = run.digest, let text = run.plan, try parts.images.size(of: digest) != nil else { return nil }
        let plan = try OCIJSON.decode(PipelinePlan.self, from: Array(text.utf8))
        let manifest = try OCIJSON.decode(Manifest.self, from: try await parts.images.read(digest))
        let bytes = manifest.layers.reduce(Int64(0)) { $0 + $1.size }
        let built = plan.build?.copy.count ?? 0
        let baseLayers = max(0, manifest.layers.count - built)
        return ImagePanel(
            reference: "\(plan.build?.image ?? "")@\(digest)", digest: digest.description, size: sizeText(bytes),
            base: manifest.annotations?["org.opencontainers.image.base.digest"].map { "\(plan.build?.base ?? "")@\($0)" },
            layers: manifest.layers.enumerated().map { index, layer in
                .init(
                    digest: layer.digest.description, size: sizeText(layer.size),
                    origin: index < baseLayers ? "base" : "built")
            })
    }

    private func facts(_ release: Release) -> ReleasePanel {
        let service = release.service
        var facts: [ReleasePanel.Fact] = [
            .init("Port", service.port.map(String.init) ?? "none"), .init("Replicas", "\(service.replicas)"),
            .init("Health", "\(service.health.probe), \(service.health.healthy) in a row"),
        ]
        if let command = service.command { facts.insert(.init("Command", command.joined(separator: " ")), at: 0) }
        if let memory = service.limits.memoryBytes { facts.append(.init("Memory", sizeText(memory))) }
        if let cpus = service.limits.cpus { facts.append(.init("Processors", "\(cpus)")) }
        if let pids = service.limits.pids { facts.append(.init("Processes", "\(pids)")) }
        return ReleasePanel(releaseID: "\(release.id)", facts: facts)
    }

    private func panel(_ deployment: Deployment, release: Release?, caller: Caller?) async throws -> DeploymentPanel {
        let stage = try release.flatMap { try PipelineEngine.plan(of: deployment.stage, in: $0) }
        let host = stage?.place(project: deployment.project)
        let events = try await parts.store.events(project: nil, run: nil, deployment: deployment.id, limit: 100)
        let approvals = try await parts.store.approvals(of: deployment.id)
        var panel = DeploymentPanel(
            id: "\(deployment.id)", stage: deployment.stage, badge: StateBadge(state: deployment.phase.rawValue),
            by: "\(deployment.kind) by \(deployment.requestedBy)", when: time(deployment.createdAt), host: host,
            hostURL: host.flatMap { $0.isEmpty ? nil : $0 }.map { PageURL.service($0, port: parts.routerPort) }, decisions: approvals.map(decision),
            events: events.reversed().map(eventLine))
        if deployment.phase == .awaitingApproval, let release {
            panel.pending = try await pending(deployment, release: release, rule: stage?.approval, caller: caller)
            panel.decisions = []
        }
        panel.waves = try rolloutPanel(deployment, signedIn: caller?.mayDeploy ?? false)
        // Commands that people gave there later are not the deployment's.
        panel.jobs = try await parts.store.jobs(ofDeployment: deployment.id).map(row)
        if let tail = deployment.logTail {
            panel.failure = InstanceFailure(
                instance: "The instance's last lines", message: deployment.message ?? "",
                lastLines: tail.components(separatedBy: "\n"))
        }
        return panel
    }
}

func sizeText(_ bytes: Int64) -> String {
    switch bytes {
    case ..<1024: "\(bytes) B"
    case ..<(1 << 20): "\(bytes >> 10) KiB"
    case ..<(1 << 30): "\((Double(bytes) / Double(1 << 20) * 10).rounded() / 10) MiB"
    default: "\((Double(bytes) / Double(1 << 30) * 10).rounded() / 10) GiB"
    }
}

extension Optional {
    fileprivate func asyncMap<T>(_ body: (Wrapped) async throws -> T) async rethrows -> T? {
        guard let self else { return nil }
        return try await body(self)
    }
}
