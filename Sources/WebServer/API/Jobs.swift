import ContainerRuntime
import DeliveryModel
import Hummingbird
import OCIModel
import PipelineEngine
import StateStore

/// `/api/v1/jobs…`: what ran in releases' images besides their instances.
func addJobAPI(to router: Router<WebContext>, _ parts: WebParts) {
    let access = parts.access

    router.get("/api/v1/jobs") { request, _ -> Response in
        try await access.requireReader(request)
        let query = request.uri.queryParameters
        let filter = JobFilter(
            project: query.get("project"), pipeline: query.get("pipeline"), stage: query.get("stage"),
            deployment: query.get("deployment", as: Int64.self))
        let limit = min(max(query.get("limit", as: Int.self) ?? 50, 1), 500)
        return try json(try await parts.engine.shownJobs(filter, limit: limit).map(JobValue.init))
    }

    router.get("/api/v1/jobs/:job") { request, context -> Response in
        try await access.requireReader(request)
        return try json(JobValue(try await parts.engine.shown(try await findJob(context, parts))))
    }

    router.get("/api/v1/jobs/:job/log") { request, context -> Response in
        try await access.requireReader(request)
        let job = try await findJob(context, parts)
        let after = request.uri.queryParameters.get("after", as: Int64.self) ?? 0
        // Whether the job is over was asked before its lines are read: what is written in between comes next time.
        let log = try await parts.engine.log(ofJob: job)
        let lines = try await log.lines(from: max(0, after), limit: 1000)
        return try json(
            LogValue(
                lines: lines.map { .init(time: $0.time, stream: $0.stream.rawValue, text: $0.text) },
                next: lines.last?.offset ?? after, complete: job.state.isTerminal && lines.count < 1000,
                removed: lines.isEmpty && after == 0 ? absence(of: log) : nil))
    }

    router.post("/api/v1/projects/:project/stages/:stage/jobs") { request, context -> Response in
        let actor = try await access.requireActor(request)
        let place = try await place(request, context, parts)
        let wanted = try await request.decode(as: JobRequest.self, context: context)
        let job: Job
        switch (wanted.name, wanted.command) {
        case (let name?, nil): job = try await parts.engine.runScheduled(name, in: place, by: actor)
        case (nil, let command?):
            job = try await parts.engine.execute(try checked(command), timeout: try checked(wanted.timeout ?? 3600), in: place, by: actor)
        default:
            throw RequestProblem(.badRequest, "a job is started by its name, or by a command", hint: "write one of name and command")
        }
        return try json(JobValue(try await parts.engine.shown(job)), status: .created)
    }

    router.post("/api/v1/jobs/:job/cancel") { request, context -> Response in
        let actor = try await access.requireActor(request)
        let job = try await findJob(context, parts)
        guard try await parts.engine.cancel(job: job.id, by: actor) else {
            throw RequestProblem(.conflict, "job \(job.id) is over: \(job.state.rawValue)", hint: "there is nothing to cancel")
        }
        return Response(status: .accepted)
    }
}

func findJob(_ context: WebContext, _ parts: WebParts) async throws -> Job {
    let text = context.parameters.get("job") ?? ""
    guard let id = Int64(text), let job = try await parts.store.job(id) else {
        throw RequestProblem.unknown("job", text, hint: "see them with: slipway jobs STAGE")
    }
    return job
}

/// A job to be started.
public struct JobRequest: Codable, Sendable {
    /// Of the schedule of what is live.
    public var name: String?
    /// Any other command: the program and its arguments.
    public var command: [String]?
    /// Of a command, in seconds; an hour when left out.
    public var timeout: Double?

    public init(name: String? = nil, command: [String]? = nil, timeout: Double? = nil) {
        self.name = name
        self.command = command
        self.timeout = timeout
    }
}

private func checked(_ command: [String]) throws -> [String] {
    guard command.first?.isEmpty == false, command.reduce(0, { $0 + $1.utf8.count }) <= 64 << 10, command.count <= 1000,
        !command.contains(where: { $0.utf8.contains(0) })
    else {
        throw RequestProblem(
            .badRequest, "this is not a command", hint: "give a program and its arguments: at most 1000 without NUL, 64 KiB together")
    }
    return command
}

private func checked(_ timeout: Double) throws -> Double {
    guard timeout >= 1, timeout <= 86_400 else {
        throw RequestProblem(.badRequest, "the timeout is out of range", hint: "it is from 1 to 86400 seconds")
    }
    return timeout
}

public struct JobValue: Codable, Sendable {
    public var id: Int64
    public var project: String
    public var pipeline: String
    public var stage: String
    /// In whose image, and with whose settings, it runs.
    public var deployment: Int64
    public var digest: String
    /// `before` or `after` a deployment, `cron`, `manual`, or `exec`.
    public var kind: String
    public var name: String
    /// Without secrets.
    public var command: [String]
    public var timeout: Double
    public var startedBy: String
    /// `queued`, `starting`, `running`, `stopping`, `succeeded`, `failed`, `cancelled`, `skipped` or `lost`.
    public var state: String
    public var exitCode: Int?
    public var message: String?
    public var logTail: String?
    public var scheduledFor: Double?
    public var createdAt: Double
    public var startedAt: Double?
    public var finishedAt: Double?

    init(_ job: Job) {
        id = job.id
        project = job.project
        pipeline = job.pipeline
        stage = job.stage
        deployment = job.deployment
        digest = job.digest.description
        kind = job.kind.rawValue
        name = job.name
        command = job.command
        timeout = job.timeout
        startedBy = job.actor
        state = job.state.rawValue
        exitCode = job.exitCode
        message = job.message
        logTail = job.logTail
        scheduledFor = job.scheduledFor
        createdAt = job.createdAt
        startedAt = job.startedAt
        finishedAt = job.finishedAt
    }
}
