import ContainerRuntime
import DeliveryModel
import Hummingbird
import PipelineEngine
import StateStore

/// `/api/v1/runs…`
func addRunAPI(to router: Router<WebContext>, _ parts: WebParts) {
    let access = parts.access

    router.get("/api/v1/runs") { request, _ -> Response in
        try await access.requireReader(request)
        let project = request.uri.queryParameters.get("project")
        let limit = min(max(request.uri.queryParameters.get("limit", as: Int.self) ?? 50, 1), 500)
        return try json(try await parts.store.runs(project: project, limit: limit).map(RunValue.init))
    }

    router.get("/api/v1/runs/:run") { request, context -> Response in
        try await access.requireReader(request)
        let run = try await findRun(context, parts)
        var value = RunValue(run)
        value.waitsFor = try await parts.engine.waitsFor(run)
        value.steps = try await parts.engine.shownSteps(of: run).map(StepValue.init)
        if let release = try await parts.store.release(ofRun: run.id) {
            value.deployments = try await parts.store.deployments(ofRelease: release.id).map(DeploymentValue.init)
        }
        value.events = try await parts.store.events(project: nil, run: run.id, deployment: nil, limit: 100)
            .reversed().map(EventValue.init)
        return try json(value)
    }

    router.get("/api/v1/runs/:run/log/:step") { request, context -> Response in
        try await access.requireReader(request)
        let run = try await findRun(context, parts)
        let step = try await findStep(try context.parameters.require("step"), of: run, parts)
        let after = request.uri.queryParameters.get("after", as: Int64.self) ?? 0
        // Whether the step is over is asked before its lines are read: what is written in between comes next time.
        let complete = step.state.isTerminal || run.state.isTerminal
        let log = try await parts.engine.maskedLog(run: run, step: step.name)
        let lines = try await log.lines(from: max(0, after), limit: 1000)
        return try json(
            LogValue(
                lines: lines.map { .init(time: $0.time, stream: $0.stream.rawValue, text: $0.text) },
                next: lines.last?.offset ?? after, complete: complete && lines.count < 1000,
                removed: lines.isEmpty && step.startedAt != nil ? absence(of: log) : nil))
    }

    router.post("/api/v1/runs/:run/cancel") { request, context -> Response in
        let actor = try await access.requireActor(request)
        let run = try await findRun(context, parts)
        guard try await parts.engine.cancel(run: run.id, by: actor) else {
            throw RequestProblem(.conflict, "run \(run.id) is over: \(run.state.rawValue)", hint: "there is nothing to cancel")
        }
        return Response(status: .accepted)
    }

    addRerunAPI(to: router, parts)
}

/// Why a log is not there any more; nil when it was not removed.
func absence(of log: MaskedLog) -> String? {
    log.removedAfter.map { seconds in
        let days = Int(seconds / 86_400)
        let age = days > 0 && Double(days) * 86_400 == seconds ? (days == 1 ? "1 day" : "\(days) days") : durationText(seconds)
        return "the log was removed after \(age)"
    }
}

func findRun(_ context: WebContext, _ parts: WebParts) async throws -> Run {
    let text = context.parameters.get("run") ?? ""
    guard let id = Int64(text), let run = try await parts.store.run(id) else {
        throw RequestProblem.unknown("run", text, hint: "see them with: slipway runs")
    }
    return run
}

func findStep(_ name: String, of run: Run, _ parts: WebParts) async throws -> Step {
    guard let step = try await parts.engine.shownSteps(of: run).first(where: { $0.name == name }) else {
        throw RequestProblem.unknown("step", name, hint: "see the steps with: slipway show \(run.id)")
    }
    return step
}
